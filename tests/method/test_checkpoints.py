"""A fit that is stopped in its middle goes on from there, and ends in the same bits."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.command import Outcome, run, save_toy
from helpers.fitting import hazy, matched, method
from helpers.moments import names
from helpers.toys import Stopping
from zeroair_pl.degradations import Haze
from zeroair_pl.method.checkpoints import Checkpoints
from zeroair_pl.method.fit import fit

STEPS = 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "in/sub/a.png")
    return tmp_path


def restore(*words: str, stop: int = 0, out: str = "out") -> tuple[Outcome, int]:
    """The outcome of a run, and the number of predictions that it took."""
    Stopping.seen, Stopping.stop = 0, stop
    fixed = ["--degradation", "Haze", "--prior", "test_checkpoints.Stopping", "--sampling.steps", str(STEPS)]
    outcome = run("restore", "--images", "in", "--out", out, *fixed, "--sampling.sampler", "SchedulerSampler",
                  "--sampling.sampler.scheduler", "DDPMScheduler",
                  "--checkpoint_every", "2", *words)  # fmt: skip
    return outcome, Stopping.seen


def left(out: str = "out") -> list[str]:
    hidden = Path(out) / ".zeroair"
    found = sorted(path.relative_to(hidden).as_posix() for path in hidden.rglob("*") if path.is_file())
    return [name for name in found if not name.startswith("written/")]


def test_a_fit_that_is_stopped_goes_on_where_it_was_saved(folder: Path) -> None:
    whole, forwards = restore(out="whole")
    assert whole.status == 0, whole.err
    assert left("whole") == ["sub/a.json"]
    assert restore(stop=6)[0].status == 130
    assert left() == ["sub/a.ckpt"]
    again, seen = restore()
    assert again.status == 0, again.err
    assert seen == forwards - 4, "of the five predictions before the stop, four were saved"
    assert left() == ["sub/a.json"]
    for name in ("sub/a.png", "strips/sub/a.png"):
        assert (folder / "out" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    with Path("out/results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["nfe"] == str(forwards)


def test_the_board_of_a_stopped_fit_has_each_step_once(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    restore(stop=6)
    restore()
    board = EventAccumulator("out/tensorboard/sub/a")
    board.Reload()
    assert sorted(event.step for event in board.Scalars("schedule/sigma")) == list(range(STEPS))


@pytest.mark.parametrize("change", ["setting", "photo", "damage", "emptied"])
def test_a_checkpoint_of_anything_else_is_no_place_to_start(folder: Path, change: str) -> None:
    forwards = restore(out="whole")[1]
    restore(stop=6)
    checkpoint = Path("out/.zeroair/sub/a.ckpt")
    words = ("--seed", "1") if change == "setting" else ()
    if change == "photo":
        save_toy(folder / "in/sub/a.png", seed=3)
    if change in ("damage", "emptied"):
        checkpoint.write_bytes(checkpoint.read_bytes()[: 500 if change == "damage" else 0])
    outcome, seen = restore(*words)
    assert (outcome.status, seen) == (0, forwards)
    assert left() == ["sub/a.json"]


def test_without_the_option_there_are_none_and_old_ones_go(folder: Path) -> None:
    restore("--checkpoint_every", "0", stop=6)
    assert left() == []
    restore(stop=6)
    assert restore("--checkpoint_every", "0")[1] >= STEPS
    assert left() == ["sub/a.json"]


def test_a_negative_number_is_refused(folder: Path) -> None:
    outcome, seen = restore("--checkpoint_every", "-1")
    assert (outcome.status, seen) == (2, 0)
    assert outcome.err == "error: checkpoint_every is -1, expected a number of at least 0.\n"


def test_a_checkpoint_that_cannot_be_written_ends_no_fit(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    saved = Checkpoints(tmp_path / "file" / "a.ckpt", 1, "")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(hazy(1), names(1), method(Haze, steps=3), [saved])
    assert sum("no checkpoint is written" in str(each.message) for each in said) == 2


def test_a_photo_that_was_finished_when_it_was_saved_stays_as_it_is(tmp_path: Path) -> None:
    """Its degradation must not be trained any further, since the maps belong to the result."""
    settings: Any = {"steps": 12, "sigma_max": 0.4, "lr": 0.05}
    noisy = (hazy(1) + 0.1 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    saved = Checkpoints(tmp_path / "a.ckpt", 11, "")
    whole = fit(noisy, names(1), matched(Haze, **settings), [saved])
    assert saved.start() is not None
    resumed = fit(noisy, names(1), matched(Haze, **settings), [Checkpoints(tmp_path / "a.ckpt", 99, "")])
    assert resumed.nfe == whole.nfe < [12], "it was finished before"
    assert torch.equal(resumed.restored, whole.restored)
    assert all(torch.equal(resumed.diagnostics[0][key], value) for key, value in whole.diagnostics[0].items())
