"""``restore`` over files when a photo or a setting is bad, or the run is interrupted."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.command import TOY, column, run, with_toys
from zeroair_pl.degradations import Degradation, Denoise, Side
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance import GuidanceLoss, GuidanceState
from zeroair_pl.jobs import fitting, job

WORDS = ("--degradation", "Noise", "--out", "out", *TOY)


@pytest.fixture
def folder(folder: Path) -> Path:
    """A working folder with three photos in ``in/``: a, b and c."""
    return with_toys(folder, "abc", rising=True)


class OnBright(Degradation):
    """Does something unusual to photos brighter than a threshold, and nothing to others."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.bright = bool(y.mean() > 0.9)

    def forward(self, x: Tensor) -> Tensor:
        return self.unusual(x) if self.bright else x

    def unusual(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Nan(OnBright):
    """Gives NaN."""

    def unusual(self, x: Tensor) -> Tensor:
        return x * torch.nan


class Crash(OnBright):
    """Raises what no one expects."""

    def unusual(self, x: Tensor) -> Tensor:
        raise ZeroDivisionError("on purpose")


class Interrupt(OnBright):
    """Presses Ctrl-C, or sends another signal."""

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__()
        self.signum = signum

    def unusual(self, x: Tensor) -> Tensor:
        signal.raise_signal(self.signum)
        return x


class WrongSetting(GuidanceLoss):
    """Finds in the middle of a fit that a setting cannot work."""

    def forward(self, state: GuidanceState) -> Tensor:
        raise ConfigError("WrongSetting: no such weights")


def bright(path: Path) -> None:
    Image.fromarray(np.full((32, 32, 3), 250, np.uint8)).save(path)


# --- one photo is bad


def test_a_bad_file_fails_alone_with_a_row_and_the_exit_status(folder: Path) -> None:
    (folder / "in/b.png").write_bytes(b"\x89PNG and no more")
    (folder / "in/list.txt").write_text("a.png\nb.png\nabsent.png\nc.png\n")
    outcome = run("restore", "--images", "in/list.txt", *WORDS)
    assert outcome.status == 1
    assert column(folder, "status") == ["restored", "failed", "failed", "restored"]
    assert "in/b.png" in column(folder, "reason")[1]
    assert "in/absent.png does not exist" in column(folder, "reason")[2]
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "in/b.png" in errors[0]
    assert "Traceback" not in outcome.err
    assert sorted(path.name for path in (folder / "out").glob("*.png")) == ["a.png", "c.png"]
    assert "2 restored, 2 failed" in outcome.out


@pytest.mark.parametrize(
    "family, said", [("Nan", "Nan.forward is not finite"), ("Crash", "ZeroDivisionError: on purpose")]
)
def test_a_fit_that_goes_wrong_is_reported_and_writes_no_picture(folder: Path, family: str, said: str) -> None:
    bright(folder / "in/b.png")
    words = ("--guidance.update", "GradientUpdate", "--guidance.terms", "[{loss: Fidelity}]")
    outcome = run("restore", "--images", "in", *WORDS, "--degradation", f"test_restore_trouble.{family}", *words)
    assert outcome.status == 1
    assert column(folder, "status") == ["restored", "failed", "restored"]
    assert said in column(folder, "reason")[1]
    assert family != "Crash" or "test_restore_trouble.py:" in column(folder, "reason")[1], "the place, for who wrote it"
    assert not (folder / "out/b.png").exists()


# --- the settings are bad


def test_an_output_folder_that_cannot_be_written_is_refused_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "solve", lambda *_: pytest.fail("work was begun"))
    (folder / "file").write_text("")
    outcome = run("restore", "--images", "in", *WORDS, "--out", "file/out")
    assert outcome.status == 2
    assert "--out file/out: cannot be written" in outcome.err


def test_a_setting_that_proves_wrong_in_a_fit_ends_the_job(folder: Path) -> None:
    words = ("--guidance.terms", "[{loss: test_restore_trouble.WrongSetting}]")
    outcome = run("restore", "--images", "in", *WORDS, *words)
    assert outcome.status == 2
    assert "error: WrongSetting: no such weights" in outcome.err
    assert outcome.out == ""
    assert not Path("out").exists(), "a refused run leaves nothing"


# --- interrupted


def test_the_table_is_current_after_each_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    real: Callable[..., Any] = job.encode_photo

    def save(*values: Any) -> Any:
        seen.append(column(folder, "name") if (folder / "out/results.csv").exists() else [])
        return real(*values)

    monkeypatch.setattr(job, "encode_photo", save)
    run("restore", "--images", "in", *WORDS)
    assert seen == [[], ["a"], ["a", "b"]]


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_with_a_summary_and_leaves_the_rest_for_the_next_run(
    folder: Path, name: str, status: int
) -> None:
    bright(folder / "in/b.png")
    signum = getattr(signal, name)
    words = ["--degradation", "test_restore_trouble.Interrupt", "--degradation.signum", str(int(signum))]
    words += ["--guidance.update", "GradientUpdate", "--guidance.terms", "[{loss: Fidelity}]"]
    # A shell starts its background jobs deaf to Ctrl-C; the tests may be one.
    handler = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    inherited = signal.signal(signum, handler)
    try:
        outcome = run("restore", "--images", "in", *WORDS, *words, "--batch", "1")
        left = signal.getsignal(signum)
    finally:
        signal.signal(signum, inherited)
    assert outcome.status == status
    assert "1 restored, 2 not started" in outcome.out
    assert "Traceback" not in outcome.err
    assert outcome.err.splitlines()[-1] == ("stopped" if name == "SIGINT" else f"stopped by {name}")
    assert column(folder, "name") == ["a"]
    assert not (folder / "out/b.png").exists()
    assert left is handler, "and a notebook can be interrupted again"
