"""``restore`` over files: what is written, skipped and scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zeroair_pl
from helpers.command import TOY, column, run, save_toy, table, with_toys
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs import fitting, job

WORDS = ("--degradation", "Noise", "--out", "out", *TOY)


@pytest.fixture
def folder(folder: Path) -> Path:
    """A working folder with three photos in ``in/``: a, b and c."""
    return with_toys(folder, "abc", rising=True)


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
    words = (*WORDS, *sampler, "--guidance.update", "GradientUpdate")  # random numbers and the prior alone
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
