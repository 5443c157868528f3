"""The main job end to end at toy size: files, table, exit status, and what a bad photo, setting or moment costs."""

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

import zeroair_pl
from helpers.command import TOY, run, save_toy, table
from zeroair_pl.degradations import Degradation, Denoise, Side
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.guidance import GuidanceLoss, GuidanceState
from zeroair_pl.jobs import fitting, job
from zeroair_pl.photos.atomic import write_atomically

WORDS = ("--degradation", "Noise", "--out", "out", *TOY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three photos in ``in/``: a, b and c."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("abc"):
        save_toy(tmp_path / f"in/{name}.png", seed, height=32 + seed)
    return tmp_path


def column(folder: Path, name: str) -> list[str]:
    return [row[name] for row in table(folder)]


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


# --- everything goes well


def test_photos_become_files_rows_pictures_and_boards(folder: Path) -> None:
    words = [word for word in WORDS if word not in ("--tensorboard", "--strips", "false")]
    outcome = run("restore", "--images", "in", "--degradation", "Haze", *words[2:], "--save_maps")
    assert outcome.status == 0, outcome.err
    assert column(folder, "name") == ["a", "b", "c"]
    assert column(folder, "status") == ["restored"] * 3
    first = table(folder)[1]
    assert (first["input"], first["output"], first["width"], first["height"]) == ("in/b.png", "b.png", "32", "33")
    assert first["nfe"] == "5", "two levels, and three more looks at the last"
    assert float(first["noise_level"]) > 0
    assert float(first["seconds"]) > 0
    assert first["psnr"] == first["reason"] == ""
    assert Image.open("out/b.png").size == (32, 33)
    for made in ("strips/b.png", "maps/b_transmission.png", "maps/b_airlight.png", "config.yaml"):
        assert (folder / "out" / made).is_file(), made
    assert list((folder / "out/tensorboard/b").glob("events*"))
    assert "3 photos" in outcome.out
    assert "3 restored" in outcome.out
    assert "tensorboard --logdir out/tensorboard" in outcome.out
    assert [line.split()[:3] for line in outcome.err.splitlines()] == [
        [f"[{i}/3]", name, "restored"] for i, name in enumerate("abc", start=1)
    ]


def test_maps_come_as_arrays(folder: Path) -> None:
    words = ["--images", "in/a.png", "--degradation", "Haze", *TOY, "--save_maps", "npz"]
    assert run("restore", *words, "--out", "out").status == 0
    assert [path.name for path in Path("out/maps").iterdir()] == ["a.npz"]
    with np.load("out/maps/a.npz") as found:
        assert {"transmission", "airlight"} <= set(found)
        assert found["airlight"].shape == (3,)
        assert found["transmission"].ndim == 2


def test_the_resolved_config_gives_the_same_result_again(folder: Path) -> None:
    run("restore", "--images", "in/a.png", *WORDS, "--seed", "4", "--guidance.update", "GradientUpdate")
    outcome = run("restore", "--config", "out/config.yaml", "--out", "again")
    assert outcome.status == 0, outcome.err
    assert (folder / "again/a.png").read_bytes() == (folder / "out/a.png").read_bytes()


def test_a_photo_gives_the_same_result_alone_and_in_any_order(folder: Path) -> None:
    sampler = ("--sampling.sampler", "SchedulerSampler", "--sampling.sampler.scheduler", "DDPMScheduler")
    words = (
        *WORDS,
        *sampler,
        "--guidance.update",
        "GradientUpdate",
    )  # random numbers and the prior alone
    run("restore", "--images", "in/c.png", "in/a.png", *words)
    run("restore", "--images", "in/a.png", *words, "--out", "alone")
    assert (folder / "out/a.png").read_bytes() == (folder / "alone/a.png").read_bytes()
    run("restore", "--images", "in/a.png", *words, "--out", "other", "--seed", "1")
    assert (folder / "other/a.png").read_bytes() != (folder / "alone/a.png").read_bytes()


def test_the_function_for_notebooks_returns_the_rows(folder: Path) -> None:
    save_toy(folder / "out/old.png")
    settings: dict[str, Any] = {"sampling": {"steps": 2}, "prior": "helpers.toys.ToyPrior", "tensorboard": False}
    results = zeroair_pl.restore(Path("in/a.png"), "denoise", out="out", seed=3, **settings)
    assert [(row.name, row.status) for row in results.rows] == [("a", "restored")]
    assert results.exit_status == 0
    assert (results.folder / results.rows[0].output).is_file()
    with pytest.raises(ConfigError, match="Did you mean 'seed'"):
        zeroair_pl.restore("in/a.png", "denoise", sead=3)


# --- one photo is bad


def test_a_bad_file_costs_itself_a_row_and_the_exit_status(folder: Path) -> None:
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
    outcome = run("restore", "--images", "in", *WORDS, "--degradation", f"test_restore.{family}", *words)
    assert outcome.status == 1
    assert column(folder, "status") == ["restored", "failed", "restored"]
    assert said in column(folder, "reason")[1]
    assert family != "Crash" or "test_restore.py:" in column(folder, "reason")[1], "the place, for who wrote it"
    assert not (folder / "out/b.png").exists()


def test_a_full_disk_costs_the_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, data: bytes) -> None:
        if path.name == "b.png":
            raise InputError(f"{path}: cannot be written")
        write_atomically(path, data)

    monkeypatch.setattr(job, "write_atomically", write)
    assert run("restore", "--images", "in", *WORDS).status == 1
    assert column(folder, "status") == ["restored", "failed", "restored"]


# --- the settings are bad


def test_an_output_folder_that_cannot_be_written_is_refused_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "solve", lambda *_: pytest.fail("work was begun"))
    (folder / "file").write_text("")
    outcome = run("restore", "--images", "in", *WORDS, "--out", "file/out")
    assert outcome.status == 2
    assert "--out file/out: cannot be written" in outcome.err
    (folder / "out").mkdir()
    (folder / "out/results.csv").write_text("my,own\n1,2\n")
    outcome = run("restore", "--images", "in", *WORDS)
    assert outcome.status == 2
    assert outcome.error == "out/results.csv: was not written by this program. Move it, or name another --out."
    assert (folder / "out/results.csv").read_text() == "my,own\n1,2\n"


def test_a_setting_that_proves_wrong_in_a_fit_ends_the_job(folder: Path) -> None:
    words = ("--guidance.terms", "[{loss: test_restore.WrongSetting}]")
    outcome = run("restore", "--images", "in", *WORDS, *words)
    assert outcome.status == 2
    assert "error: WrongSetting: no such weights" in outcome.err
    assert outcome.out == ""
    assert not Path("out").exists(), "a refused run leaves nothing"


# --- done before


def test_finished_photos_are_skipped_unless_file_settings_or_wish_have_changed(folder: Path) -> None:
    run("restore", "--images", "in", *WORDS)
    before = table(folder)
    again = run("restore", "--images", "in", *WORDS)
    assert again.status == 0
    assert "3 skipped" in again.out
    assert column(folder, "status") == ["skipped"] * 3
    assert column(folder, "seconds") == [row["seconds"] for row in before]
    assert "3 skipped" in run("restore", "--images", "in", *WORDS, "--save_maps").out, "does not change the result"
    assert "3 restored" in run("restore", "--images", "in", *WORDS, "--overwrite").out
    assert "3 restored" in run("restore", "--images", "in", *WORDS, "--seed", "1").out
    save_toy(folder / "in/b.png", seed=9)
    (folder / "out/c.png").unlink()
    run("restore", "--images", "in", *WORDS, "--seed", "1")
    assert column(folder, "status") == ["skipped", "restored", "restored"]


def test_failures_are_tried_again(folder: Path) -> None:
    content = (folder / "in/b.png").read_bytes()
    (folder / "in/b.png").write_bytes(b"")
    run("restore", "--images", "in", *WORDS)
    (folder / "in/b.png").write_bytes(content)
    assert run("restore", "--images", "in", *WORDS).status == 0
    assert column(folder, "status") == ["skipped", "restored", "skipped"]


@pytest.mark.parametrize("words", [(), ("--overwrite",)])
def test_a_file_that_is_no_result_is_never_replaced(folder: Path, words: tuple[str, ...]) -> None:
    mine = save_toy(folder / "out/b.png", seed=7).read_bytes()
    outcome = run("restore", "--images", "in", *WORDS, *words)
    assert outcome.status == 1
    assert column(folder, "reason")[1] == "out/b.png: was not written by this program. Move it, or name another --out."
    assert column(folder, "status") == ["restored", "failed", "restored"]
    assert (folder / "out/b.png").read_bytes() == mine


def test_two_photos_of_one_name_do_not_replace_each_other(folder: Path) -> None:
    save_toy(folder / "elsewhere/a.png", seed=5)
    run("restore", "--images", "in/a.png", *WORDS)
    outcome = run("restore", "--images", "elsewhere/a.png", *WORDS)
    assert outcome.status == 1
    assert "is not made from elsewhere/a.png; use --overwrite or another --out" in outcome.err
    assert run("restore", "--images", "elsewhere/a.png", *WORDS, "--overwrite").status == 0, "a result of ours"


def test_rows_of_other_photos_stay_in_the_table(folder: Path) -> None:
    run("restore", "--images", "in/a.png", *WORDS)
    run("restore", "--images", "in/c.png", *WORDS)
    assert column(folder, "name") == ["c", "a"]
    run("restore", "--images", "in/a.png", *WORDS)
    assert list(zip(column(folder, "name"), column(folder, "status"), strict=True)) == [
        ("a", "skipped"),
        ("c", "restored"),
    ]


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
    words = ["--degradation", "test_restore.Interrupt", "--degradation.signum", str(int(signum))]
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
    assert "1 restored, 2 not begun" in outcome.out
    assert "Traceback" not in outcome.err
    assert outcome.err.splitlines()[-1] == ("stopped" if name == "SIGINT" else f"stopped by {name}")
    assert column(folder, "name") == ["a"]
    assert not (folder / "out/b.png").exists()
    assert left is handler, "and a notebook can be interrupted again"


# --- scored


def test_references_are_scored_and_never_seen_by_the_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_toy(folder / "clean/a.png", seed=0)
    save_toy(folder / "clean/b.png", seed=1, height=40)
    (folder / "in/list.csv").write_text("image,reference\na.png,../clean/a.png\nb.png,../clean/b.png\nc.png,\n")
    order: list[str] = []

    def noted(real: Callable[..., Any], note: Callable[..., str]) -> Callable[..., Any]:
        def wrapper(*args: Any) -> Any:
            outcome = real(*args)
            order.append(note(*args))
            return outcome

        return wrapper

    monkeypatch.setattr(job, "load_photo", noted(job.load_photo, str))
    monkeypatch.setattr(fitting, "solve", noted(fitting.solve, lambda _, names, *rest: f"fit {names[0]}"))
    outcome = run("restore", "--images", "in/list.csv", *WORDS, "--guidance.update", "GradientUpdate")
    for name in ("a.png", "b.png"):
        read, fitted, opened = (order.index(each.format(name)) for each in ("in/{}", "fit {}", "in/../clean/{}"))
        assert read < fitted < opened < order.index(f"out/{name}")
    a, b, c = table(folder)
    assert float(a["psnr_input"]) > 100, "the photo is its own reference"
    assert 5 < float(a["psnr"]) < 100
    assert float(a["ssim"]) < float(a["ssim_input"]) == 1.0
    assert b["status"] == "restored"
    assert "../clean/b.png: the reference is 32x40 px, the photo 32x33 px" in b["reason"]
    assert b["psnr"] == c["psnr"] == ""
    assert outcome.status == 1, "a score that was asked for is missing"


def test_a_reference_given_later_scores_what_is_finished(folder: Path) -> None:
    run("restore", "--images", "in/a.png", *WORDS)
    (folder / "in/list.csv").write_text("image,reference\na.png,b.png\n")
    save_toy(folder / "in/b.png", seed=5)
    outcome = run("restore", "--images", "in/list.csv", *WORDS)
    assert outcome.status == 0, outcome.err
    (row,) = table(folder)
    assert row["status"] == "skipped"
    assert float(row["psnr"]) > 5
