"""Which photos are fitted together, how many of them, and how many are in memory at a time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from helpers.batching import batches_of
from helpers.command import TOY, run, save_toy
from helpers.toys import ToyPrior
from zeroair_pl.degradations import Blur, Haze
from zeroair_pl.jobs import batches, fitting, job
from zeroair_pl.jobs.batches import BYTES, PHOTOS, PIXELS, Batches, batch_size, most_at_once
from zeroair_pl.method.settings import Method, Sampling
from zeroair_pl.photos.memory import as_photo
from zeroair_pl.priors import GainTuning

CPU, OTHER, CUDA = torch.device("cpu"), torch.device("meta"), torch.device("cuda")


def photo(name: str, height: int = 8, width: int = 8) -> Any:
    """A stand-in for a ``Task`` with the attributes that are used here."""
    return SimpleNamespace(name=name, photo=SimpleNamespace(size=(height, width)), plan=None)


def names(tasks: list[Any]) -> str:
    return "".join(task.name for task in tasks)


def taken(waiting: Batches, photos: list[Any]) -> list[str]:
    """The batches that are made when these photos are added one by one, and those that are left at the end."""
    found = []
    for each in photos:
        waiting.add(each)
        while batch := waiting.ready():
            found.append(names(batch))
    while batch := waiting.oldest():
        found.append(names(batch))
    return found


# ---- which photos ----------------------------------------------------------------------------------------------------


def test_a_batch_of_one_size_is_full() -> None:
    assert taken(Batches(lambda _: 3), [photo(name) for name in "abcdefgh"]) == ["abc", "def", "gh"]
    assert taken(Batches(lambda _: 1), [photo(name) for name in "abc"]) == ["a", "b", "c"]
    assert Batches(lambda _: 3).ready() == Batches(lambda _: 3).oldest() == []


def test_sizes_are_not_mixed_and_height_is_not_width() -> None:
    photos = [photo("a"), photo("b", 8, 9), photo("c", 9, 8), photo("d"), photo("e", 8, 9), photo("f", 9, 8)]
    assert taken(Batches(lambda _: 2), photos) == ["ad", "be", "cf"]
    assert taken(Batches(lambda _: 3), photos) == ["ad", "be", "cf"], "what is left: the oldest first"


def test_each_size_has_a_number_of_its_own() -> None:
    def size(task: Any) -> int:
        return 3 if task.photo.size == (8, 8) else 1

    photos = [photo("a"), photo("b", 99), photo("c"), photo("d", 99), photo("e"), photo("f")]
    assert taken(Batches(size), photos) == ["b", "d", "ace", "f"]


def test_when_too_many_wait_the_oldest_go() -> None:
    """In a list of many sizes hardly any batch becomes full, and photos would wait to the end of the list."""
    waiting = Batches(lambda _: 2)
    for i in range(batches.WAITING * 2 - 1):
        waiting.add(photo(str(i), 8 + i))
        assert waiting.ready() == []
    assert waiting.count == 7
    waiting.add(photo("x", 10))
    assert names(waiting.ready()) == "2x", "a full one before the oldest"
    assert waiting.count == 6
    waiting.add(photo("y", 100))
    assert waiting.ready() == []
    waiting.add(photo("z", 101))
    assert names(waiting.ready()) == "0"
    assert names(waiting.ready()) == "", "there is room again"
    assert names(list(chain(*iter(waiting.oldest, [])))) == "13456yz"


def test_photos_do_not_wait_with_too_many_pixels() -> None:
    waiting = Batches(lambda _: 4)
    waiting.add(photo("a", 5000, 4999))
    assert waiting.ready() == []
    waiting.add(photo("b", 100, 100))
    assert names(waiting.ready()) == "a", "25 million pixels and more"
    assert (waiting.ready(), waiting.count) == ([], 1)


def test_of_a_shared_list_no_more_than_a_part_is_held() -> None:
    parts = [4, 4, 2, 1]
    waiting = Batches(lambda _: 4, held=lambda size: min(size, parts.pop(0)))
    for i, each in enumerate("ab"):
        waiting.add(photo(each, 8 + i))
        assert waiting.ready() == []
    waiting.add(photo("c"))
    assert names(waiting.ready()) == "ac", "three are more than two: the oldest, with its like"
    assert names(waiting.ready()) == "b"


def test_how_many_more_are_wanted() -> None:
    def size(task: Any) -> int:
        return 4 if task.photo.size == (8, 8) else 2

    waiting = Batches(size)
    assert waiting.wanted == 1, "nothing is known of the list yet"
    for name, left in zip("abc", (3, 2, 1), strict=True):
        waiting.add(photo(name))
        assert waiting.wanted == left
    waiting.add(photo("x", 99))
    assert waiting.wanted == 1, "at least one, or nothing would go on"
    waiting.add(photo("d"))
    assert names(waiting.ready()) == "abcd"
    assert waiting.wanted == 3


def test_what_a_batch_leaves_has_waited_longer_than_those_that_came_after_it() -> None:
    """Memory gets less while photos wait, so a batch becomes smaller and leaves some of them behind."""
    full = 4
    waiting = Batches(lambda _: full)
    for each in (photo("a"), photo("b"), photo("c"), photo("x", 9), photo("y", 10)):
        waiting.add(each)
    assert waiting.ready() == []
    full = 2
    assert names(waiting.ready()) == "ab"
    assert [names(batch) for batch in iter(waiting.oldest, [])] == ["c", "x", "y"]


# ---- how many --------------------------------------------------------------------------------------------------------


def test_a_number_is_a_number() -> None:
    for device in (OTHER, CUDA):
        assert most_at_once(1, 100, device) == 1
        assert most_at_once(100, 10**9, device) == 100


def test_a_cpu_takes_one_after_the_other() -> None:
    assert most_at_once("auto", 1, CPU) == most_at_once(1, 100, CPU) == most_at_once(100, 100, CPU) == 1


def test_auto_on_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_at_once("auto", 256 * 256, OTHER) == PHOTOS == 64
    assert most_at_once("auto", 1024 * 1024, OTHER) == PIXELS // 1024**2 == 4
    assert most_at_once("auto", 10**8, OTHER) == 1
    free = 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    for photos in (0, 1, 5, 63, 64, 1000):
        free = 2 * photos * BYTES * 256**2
        assert most_at_once("auto", 256 * 256, CUDA) == max(1, min(64, photos)), "half of what is free"


def test_a_photo_that_no_other_can_join_is_alone() -> None:
    method, plain = Method(Haze, ToyPrior()), as_photo(np.full((16, 20), 51, np.uint8))[0]
    assert batch_size(5, plain, method, OTHER) == 5
    assert batch_size(5, plain, method, CPU) == 1
    masked = replace(plain, side={"mask": torch.zeros(1, 1, 16, 20).index_fill_(2, torch.tensor([3]), 1.0)})
    assert batch_size(5, masked, method, OTHER) == 1
    assert batch_size(5, plain, replace(method, degradation=Blur), OTHER) == 1, "its border differs"
    assert batch_size(5, plain, replace(method, sampling=Sampling(working_pixels=256)), OTHER) == 1, "it is large"
    adapting = ToyPrior()
    adapting.adapt = GainTuning()
    assert batch_size(5, plain, replace(method, prior=adapting), OTHER) == 1


def test_photos_that_are_fitted_alone_do_not_wait_among_their_like() -> None:
    def size(task: Any) -> int:
        return 1 if task.name in "bd" else 2

    assert taken(Batches(size), [photo(name) for name in "abcde"]) == ["b", "ac", "d", "e"]


# ---- runs ------------------------------------------------------------------------------------------------------------


def restore(*words: str) -> Any:
    return run("restore", "--images", "in", "--degradation", "Noise", "--out", "out", *TOY, *words)


@pytest.mark.parametrize("value", ["0", "-1", "many", "2.5", "true", "", "[2]"])
def test_what_is_no_number_of_photos(folder: Path, value: str) -> None:
    save_toy(folder / "in/a.png")
    outcome = restore(f"--batch={value}")
    assert outcome.status == 2, outcome.err
    assert "batch" in outcome.error
    assert value.strip("[]") in outcome.error
    assert not Path("out/a.png").exists()


def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names that each fit gets."""
    seen: list[list[str]] = []
    fit: Callable[..., Any] = fitting.solve

    def noted(y: Any, names: list[str], *rest: Any) -> Any:
        seen.append([name.partition(".")[0] for name in names])
        return fit(y, names, *rest)

    monkeypatch.setattr(fitting, "solve", noted)
    return seen


def test_photos_of_one_size_share_fits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, (name, height) in enumerate(zip("abcdefgh", (16, 18, 16, 16, 18, 20, 16, 16), strict=True)):
        save_toy(folder / f"in/{name}.png", seed, height, 16)
    (folder / "in/c.png").write_bytes(b"no photo")
    batches_of(monkeypatch)
    seen = groups(monkeypatch)
    assert restore("--batch", "2").status == 1, "c is no photo"
    assert seen == [["a", "d"], ["b", "e"], ["g", "h"], ["f"]]
    seen.clear()
    monkeypatch.setenv("ZEROAIR_RESTORE__BATCH", "3")
    restore("--overwrite")
    assert seen == [["a", "d", "g"], ["b", "e"], ["f"], ["h"]]
    seen.clear()
    restore("--overwrite", "--batch", "auto")
    assert seen == [["a", "d", "g", "h"], ["b", "e"], ["f"]]
    seen.clear()
    Path("out/d.png").unlink()
    Path("out/h.png").unlink()
    restore("--batch", "2")
    assert seen == [["d", "h"]], "those that are finished take no place"


def test_no_more_than_three_batches_are_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(10):
        save_toy(folder / f"in/{seed:02d}.png", seed, height=16, width=16)
    batches_of(monkeypatch)
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []
    load, fit = job.load_photo, fitting.solve

    def count() -> None:
        alive.append(sum(each() is not None for each in made))

    def counted(path: Path) -> Any:
        photo = load(path)
        made.append(weakref.ref(photo.pixels))
        count()
        return photo

    def fitted(*values: Any) -> Any:
        gc.collect()
        count()
        return fit(*values)

    monkeypatch.setattr(job, "load_photo", counted)
    monkeypatch.setattr(fitting, "solve", fitted)
    assert restore("--batch", "2").status == 0
    assert len(made) == 10
    assert 2 <= max(alive) <= 6
    assert len(alive) == 10 + 5
