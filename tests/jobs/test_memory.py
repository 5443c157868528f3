"""Running out of memory: smaller tiles for that photo alone, and a line that says so."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.command import TOY, run, save_toy
from helpers.outputs import table_of
from helpers.toys import Small
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.tiling import Tiling
from zeroair_pl.tensors.memory import is_out_of_memory


def test_what_counts_as_running_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value), "as the CPU's allocator says it"
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_prior_goes_on_with_smaller_tiles() -> None:
    x, t = torch.randn(1, 3, 96, 100, generator=torch.Generator().manual_seed(0)), torch.tensor([300.0])
    prior = Small()
    found = prior.predict(x, t).x0
    assert 0 < prior.most <= prior.limit
    assert prior.tiling.side == 64
    assert torch.equal(found, UNetPrior(tile=64).predict(x, t).x0)
    assert prior.predict(x, t).x0.equal(found), "without running out again"


def test_what_a_failed_attempt_held_is_free_before_the_next() -> None:
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []

    class Held:
        pass

    class Holding(Small):
        def _network(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
            held = Held()
            made.append(weakref.ref(held))
            alive.append(sum(each() is not None for each in made))
            found = super()._network(x_t, t)
            del held
            return found

    Holding().predict(torch.randn(1, 3, 96, 96), torch.tensor([300.0]))
    assert len(alive) > 2
    assert max(alive) == 1


def test_other_errors_and_the_smallest_tiles_are_no_reason_to_go_on() -> None:
    prior = Small(limit=32**2)
    with pytest.raises(torch.OutOfMemoryError):
        prior.predict(torch.randn(1, 3, 96, 96), torch.tensor([300.0]))
    assert prior.tiling.side == 64
    with pytest.raises(RuntimeError, match="size"):
        UNetPrior().predict(torch.randn(1, 4, 32, 32), torch.tensor([300.0]))


def test_what_is_seen_at_once_is_halved_before_tiles_are() -> None:
    """On a device where the prior takes all photos at once, with a network that returns its input."""

    class Nothing(Small):
        def _network(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
            tried.append(len(x_t))
            if x_t[:, 0].numel() > self.limit:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return [x_t]

    tried: list[int] = []
    prior = Nothing(limit=2 * 80**2, pixels_at_once=2**20)
    x, t, side = torch.empty(11, 3, 80, 80, device="meta"), torch.full((11,), 200.0), prior.tiling.side
    prior.predict(x, t)
    assert tried == [11, 5, *[2] * 5, 1]
    assert (prior.tiling.images_at_once, prior.tiling.side, prior.tiling.pixels_at_once) == (2, side, 2**20)
    tried.clear()
    prior.predict(x[:3], t[:3])
    assert tried == [2, 1], "without running out again"
    prior.limit = 64**2
    prior.predict(x[:3], t[:3])
    assert prior.tiling.side == 64, "memory is too small for one photo at once, so it is tiled"


def sizes(tiling: Tiling | None) -> list[tuple[int, int, int]]:
    found = []
    while tiling is not None:
        found.append((tiling.side, tiling.overlap, tiling.at_once(torch.device("meta"))))
        tiling = tiling.smaller()
    return found


def test_tiles_shrink_by_halves_where_the_network_allows_it() -> None:
    assert [side for side, *_ in sizes(Tiling(None, None, 2**20, 16))] == [896, 512, 256, 128, 64]
    assert sizes(Tiling(512, 128, 2**20, 16)) == [(512, 128, 4), (256, 64, 4), (128, 32, 4), (64, 16, 4)]
    # A network with attention has tiles of one size, of which fewer go at once.
    assert sizes(Tiling(None, None, 2**20, 32, trained=256)) == [(256, 64, 16), (256, 64, 4), (256, 64, 1)]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "in/a.png", 0, 96, 96)
    save_toy(tmp_path / "in/b.png", 1, 68, 68)
    return tmp_path


def restored(**limits: Any) -> tuple[Any, list[dict[str, str]]]:
    words = [f"--prior.{name}={value}" for name, value in limits.items()]
    outcome = run("restore", "--images", "in", "--degradation", "Noise", *TOY, "--prior", "test_memory.Small", *words,
                  "--out", "out", "--overwrite")  # fmt: skip
    return outcome, table_of()


def test_a_photo_that_is_too_large_does_not_change_the_others(photos: Path) -> None:
    outcome, rows = restored()
    assert outcome.status == 0, outcome.err
    assert [row["note"] for row in rows] == ["memory ran out: the prior saw tiles of at most 64 px", ""]
    assert "note: a.png: memory ran out: the prior saw tiles of at most 64 px" in outcome.err
    after = Path("out/b.png").read_bytes()
    Path("in/a.png").unlink()
    restored()
    assert Path("out/b.png").read_bytes() == after


def test_a_photo_that_fits_in_no_way_fails_alone(photos: Path) -> None:
    _, rows = restored(limit=30**2)
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert rows[0]["reason"].startswith("in/a.png: memory ran out (OutOfMemoryError: CUDA out of memory. Tried to ")
    assert rows[0]["reason"].endswith("lower prior.pixels_at_once, prior.tile or sampling.working_pixels.")
