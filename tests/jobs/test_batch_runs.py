"""Runs with any ``--batch``: the same files on a CPU, and whole files and boards where photos share a fit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from helpers.batching import batches_of
from helpers.command import Outcome, run, save_toy
from helpers.outputs import content
from helpers.stacking import mixed
from helpers.toys import Stopping

WORDS = ("--save_maps", "--strips", "true")
QUIET = ("--tensorboard", "false")
TOY = ("--config", "auto", "--prior", "helpers.toys.ToyPrior", "--sampling.steps", "4")
DDPM = ("--sampling.sampler", "SchedulerSampler", "--sampling.sampler.scheduler", "DDPMScheduler")
DRAWS = (*TOY, *DDPM)
EMBEDDED = ("--config", "auto", "--sampling.steps", "3")
SIZES = [(16, 18), (21, 19), (16, 18), (21, 19), (16, 18), (18, 16), (21, 19), (16, 18)]


def save(path: Path, pixels: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()).save(path)
    return path


def photos(folder: Path, count: int = len(SIZES)) -> None:
    """Photos of three sizes, hazy, dark and plain ones."""
    for seed, size in enumerate(SIZES[:count]):
        path = save_toy(folder / f"in/{'sub/' if seed % 3 else ''}{seed}.png", seed, *size)
        values = np.asarray(Image.open(path)) / 255
        done_to = (0.5 * values + 0.45, 0.15 * values, values)[seed % 3]
        Image.fromarray((255 * done_to).round().astype(np.uint8)).save(path)


def restore(out: str, *words: str, images: str = "in") -> Outcome:
    outcome = run("restore", "--images", images, "--out", out, *words)
    assert outcome.status == 0, outcome.err
    assert "note:" not in outcome.err, "no batch was divided, nothing was fitted twice"
    return outcome


def of(photo: str, found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if photo in name}


@pytest.mark.parametrize("count, words", [(8, DRAWS), (5, EMBEDDED)], ids=["toy", "embedded"])
def test_any_batch_makes_the_same_files(folder: Path, count: int, words: tuple[str, ...]) -> None:
    photos(folder, count)
    words = (*words, *WORDS, *QUIET)
    restore("one", "--batch", "1", *words)
    expected = content("one")
    assert len(of(".png", expected)) >= 2 * count
    assert len(of(".json", expected)) == len(of("results.csv", expected)) == count
    for batch in ("3", "auto"):
        restore(batch, "--batch", batch, *words)
        assert content(batch) == expected, f"--batch {batch}"
    lines = sorted((path.relative_to("in").as_posix() for path in Path("in").rglob("*.png")), reverse=True)
    Path("in/list.txt").write_text("\n".join(lines))
    restore("reversed", "--batch", "3", *words, images="in/list.txt")
    table = Path("reversed/results.csv").read_text().splitlines()[1:]
    assert [Path(line.split(",")[0]).name for line in table] == [Path(line).stem for line in lines]
    assert content("reversed") == expected
    assert f"{count} skipped" in restore("one", "--batch", "4", *words).out, "--batch is none of a result's business"
    assert content("one") == expected


# ---- photos that share a fit -----------------------------------------------------------------------------------------


def test_two_photos_of_one_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the same random numbers, but separate files for everything that is written."""
    for seed, name in enumerate(("x/a.png", "y/a.png", "y/b.png")):
        save_toy(folder / "in" / name, seed, 16, 16)
    batches_of(monkeypatch)
    restore("out", "--batch", "3", *DRAWS, *WORDS)
    assert len({path.read_bytes() for path in Path("out").rglob("[ab].png") if path.parent.name in "xy"}) == 6
    assert sorted(path.name for path in Path("out/tensorboard").rglob("*") if path.is_dir()) == list("aabxy")


# ---- TensorBoard -----------------------------------------------------------------------------------------------------


def scalars(out: str, name: str) -> dict[str, list[tuple[int, float]]]:
    board = EventAccumulator(f"{out}/tensorboard/{name}")
    board.Reload()
    found = {tag: [(each.step, each.value) for each in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    return {**found, "strip": [(each.step, float(each.width)) for each in board.Images("strip")]}


def alike(
    board: dict[str, list[tuple[int, float]]], other: dict[str, list[tuple[int, float]]], rel: float = 1e-3
) -> None:
    """Checks that both boards have the same steps, and values that differ only by the rounding of a batch."""
    assert board.keys() == other.keys()
    for tag, values in board.items():
        assert [step for step, _ in values] == [step for step, _ in other[tag]], tag
        assert [value for _, value in values] == pytest.approx([v for _, v in other[tag]], rel=rel, abs=1e-5), tag


def test_a_photo_has_the_same_board_in_any_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five photos, for which Auto finds three families with numbers of their own, and none."""
    for name, pixels in zip("abcde", mixed(), strict=True):
        save(folder / f"in/{name}.png", pixels)
    batches_of(monkeypatch)
    words = (*DRAWS, "--guidance.terms", "[{loss: TotalVariation}]")
    for batch in ("1", "5"):
        restore(batch, "--batch", batch, *words)
    kinds = {"a": "airlight/green", "b": "gamma", "c": "airlight/green", "d": "noise_level", "e": "gamma"}
    for name, tag in kinds.items():
        alone = scalars("1", name)
        alike(scalars("5", name), alone)
        assert [step for step, _ in alone[f"degradation/{tag}"]] == [0, 1, 2, 3]
        assert {"modeling/likelihood", "guidance/total_variation", "schedule/sigma", "strip"} <= alone.keys()
        assert ("degradation/gamma" in alone) == (tag == "gamma")


def test_a_photo_that_is_finished_first_has_the_same_board(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of three strengths; the strongest is reached first."""
    noise = torch.randn(3, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    clean = mixed()[[3, 3, 3]]
    for name, pixels in zip("abc", clean + noise * torch.tensor([0.01, 0.05, 0.2]).view(3, 1, 1, 1), strict=True):
        save(folder / f"in/{name}.png", pixels)
    batches_of(monkeypatch)
    words = [
        *TOY,
        "--sampling.steps",
        "8",
        "--sampling.sigma_max",
        "1.0",
        "--guidance.terms",
        "[{loss: TotalVariation}]",
    ]
    for batch in ("1", "3"):
        restore(batch, "--batch", batch, *words)
    learned = []
    for name in "abc":
        alone = scalars("1", name)
        alike(scalars("3", name), alone, rel=5e-3)  # the kind of noise is told by steep ramps, which enlarge rounding
        learned.append(len(alone["modeling/likelihood"]))
    assert learned == sorted(learned, reverse=True)
    assert learned[0] > learned[2], "or none is finished before the others"


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def stoppable(out: str, stop: int, *words: str) -> tuple[Outcome, int]:
    Stopping.seen, Stopping.stop = 0, stop
    fixed = ["--degradation", "Haze", "--prior", "helpers.toys.Stopping", "--sampling.steps", "8"]
    fixed += [*DDPM, "--checkpoint_every", "2", "--save_maps"]
    return run("restore", "--images", "in", "--out", out, *fixed, *words), Stopping.seen


def checkpoints(out: str) -> list[str]:
    return sorted(path.name for path in Path(out).rglob("*.ckpt"))


def test_a_batch_that_is_stopped_goes_on_where_it_was_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches_of(monkeypatch)
    for seed in range(5):
        save_toy(folder / f"in/{seed}.png", seed, 16, 16)
    outcome, nfe = stoppable("whole", 0, "--batch", "3")
    assert outcome.status == 0
    assert nfe == 16, "two fits"
    outcome, _ = stoppable("out", 8 + 6, "--batch", "3")
    assert outcome.status == 130
    assert "3 restored, 2 not started" in outcome.out
    assert checkpoints("out") == ["3.ckpt"]
    time.sleep(1.1)  # the board sorts the files of a run by their second
    outcome, seen = stoppable("out", 0, "--batch", "3")
    assert outcome.status == 0, outcome.err
    assert seen == 8 - 4, "of the five steps before the stop, four were saved"
    assert checkpoints("out") == []
    assert content("out") == content("whole")
    for name in "34":
        assert scalars("out", name) == scalars("whole", name)


@pytest.mark.parametrize("change", ["--batch", "photo"])
def test_a_checkpoint_of_another_batch_is_no_place_to_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    batches_of(monkeypatch)
    for seed in range(3):
        save_toy(folder / f"in/{seed}.png", seed, 16, 16)
    stoppable("out", 6, "--batch", "3")
    assert checkpoints("out") == ["0.ckpt"]
    if change == "photo":
        save_toy(folder / "in/1.png", 9, 16, 16)
    outcome, seen = stoppable("out", 0, "--batch", "2" if change == "--batch" else "3")
    assert outcome.status == 0
    assert seen == (16 if change == "--batch" else 8)
    assert checkpoints("out") == []
    assert len(list(Path("out").glob("[012].png"))) == 3
