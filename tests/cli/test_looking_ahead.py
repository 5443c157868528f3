"""``--dry-run``, ``--explain``, ``--verbose`` and ``--preview``: what would be done, why, how, and a first look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command import TOY, run, save_toy
from helpers.scenes import clean
from zeroair_pl.commands import preview
from zeroair_pl.config.files import read_config
from zeroair_pl.inspection.evidence import evidence
from zeroair_pl.photos.reading import load_photo

RESTORE = ("restore", *TOY, "--out", "out")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two photos and a broken one."""
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "in/a.png", seed=1, height=48, width=64)
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    save_toy(tmp_path / "in/c.png", seed=2)
    return tmp_path


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files and folders, with their times and contents."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- dry runs


def test_a_dry_run_writes_nothing_and_predicts_the_run(folder: Path) -> None:
    run(*RESTORE, "in/c.png")
    before = tree(folder)
    outcome = run(*RESTORE, "in", "--dry-run", "--json")
    assert tree(folder) == before
    *planned, summary = objects(outcome.out)
    *real, _ = objects((real_run := run(*RESTORE, "in", "--json")).out)
    assert outcome.status == real_run.status == 1
    assert [each["name"] for each in planned] == [each["name"] for each in real]
    assert [each["status"].replace("planned", "restored") for each in planned] == [each["status"] for each in real]
    for plan, row in zip(planned, real, strict=True):
        for key in ("reason", "kind", "width", "height", "settings"):
            assert plan[key] == row[key], key
    assert planned[0]["output"] == str(Path("out") / real[0]["output"])
    assert planned[0]["estimated_seconds"] > 0
    assert summary["planned"] == summary["skipped"] == summary["failed"] == 1


def test_a_dry_run_into_a_new_folder_makes_none(folder: Path) -> None:
    outcome = run(*RESTORE, "in/a.png", "--dry-run")
    assert outcome.status == 0, outcome.err
    assert not Path("out").exists()
    assert "would restore: in/a.png -> out/a.png: 64x48 px" in outcome.out
    assert "1 photo: 1 to restore" in outcome.out
    assert "Nothing was written." in outcome.out


def test_a_dry_run_refuses_what_the_run_refuses(folder: Path) -> None:
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"mine")
    assert "was not written by this program" in run(*RESTORE, "in/a.png", "--dry-run").out
    outcome = run(*RESTORE[:-1], "in/a.png/out", "in/a.png", "--dry-run")
    assert outcome.status == 2
    assert "--out in/a.png/out: cannot be written" in outcome.error


def test_a_dry_run_sees_the_kind_that_auto_takes(folder: Path) -> None:
    dark = (clean("haze_workshop", 64) * 0.1).clamp(0, 1)
    Image.fromarray((dark[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)).save("in/dark.png")
    plan, _ = objects(run(*RESTORE, "in/dark.png", "--dry-run", "--json").out)
    row, _ = objects(run(*RESTORE, "in/dark.png", "--json").out)
    assert plan["kind"] == row["kind"] == "LowLight"
    assert "darkness" in plan["found"]


# --- why, and how


def test_what_auto_goes_by_is_explained(folder: Path) -> None:
    outcome = run(*RESTORE, "in/a.png", "--dry-run", "--explain", "--json")
    photo, _ = objects(outcome.out)
    heard = {each["family"]: each for each in photo["evidence"]}
    assert {"Haze", "LowLight", "Streaks", "Underwater"} <= set(heard)
    for each in heard.values():
        assert all(spoken["weight"] > 0 for spoken in each["speaks_for"])
        assert all(spoken["weight"] < 0 for spoken in each["speaks_against"])
    assert photo["estimated_noise"] == 0, "of a smooth picture"
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save("left.png")
    words = ("--mask", "left.png", "--dry-run", "--explain", "--json")
    assert objects(run(*RESTORE, "in/a.png", *words).out)[0]["evidence"] != photo["evidence"], "of what is seen"
    told = run(*RESTORE, "in/a.png", "--explain").err
    assert "evidence: a: Haze" in told
    assert "usually" in told


def test_evidence_has_the_severity_of_each_family() -> None:
    y = clean("haze_workshop", 64)
    dim, bright = evidence(y * 0.1), evidence(y)
    assert dim[0].family == "LowLight"
    assert dim[0].severity > max(each.severity for each in bright if each.family == "LowLight")
    assert [each.severity for each in dim] == sorted((each.severity for each in dim), reverse=True)


def test_a_verbose_run_says_which_way_and_how_long(folder: Path) -> None:
    outcome = run(*RESTORE, "in", "--verbose", "--seed", "7", "--json")
    photo = objects(outcome.out)[0]
    assert photo["plan"]["degradation"] == {"class_path": "Auto"}
    assert (photo["plan"]["steps"], photo["plan"]["seed"]) == (2, 7)
    assert set(photo["phases"]) == {"read", "fit", "write"}
    assert all(seconds > 0 for seconds in photo["phases"].values())
    assert "plan: a: Auto; prior" in outcome.err
    assert "seconds: a: read" in outcome.err
    assert "plan" not in objects(outcome.out)[1], "of the broken photo"


# --- previews


def test_a_preview_is_small_and_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "PIXELS", 32 * 24)
    outcome = run(*RESTORE, "in/a.png", "--preview")
    assert outcome.status == 0, outcome.err
    assert not Path("out").exists()
    with Image.open("out-preview/a.preview.png") as image:
        assert image.size == (32, 24)
    assert "preview" not in read_config(Path("out-preview/config.yaml")).values
    again = run(*RESTORE, "in/a.png", "--preview", "--json")
    assert objects(again.out)[0]["status"] == "skipped"
    whole, _ = objects(run(*RESTORE[:-1], "out-preview", "in/a.png", "--json").out)
    assert whole["status"] == "restored", "a preview is never taken for the result"


def test_a_crop_is_the_middle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "SIDE", 32)
    outcome = run(*RESTORE, "in/a.png", "--preview", "crop", "--strength", "0")
    assert outcome.status == 0, outcome.err
    pixels, whole = load_photo("out-crop/a.crop.png").pixels, load_photo("in/a.png").pixels
    assert torch.equal(pixels, whole[:, 0:32, 16:48])


def test_what_comes_with_a_photo_is_cut_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "SIDE", 32)
    monkeypatch.setattr(preview, "PIXELS", 32 * 24)
    mask = np.zeros((48, 64), np.uint8)
    mask[4:12, 20:30] = 255
    Image.fromarray(mask).save("holes.png")
    for words in (["--preview"], ["--preview", "crop"]):
        outcome = run(*RESTORE, "in/a.png", "--degradation", "Missing", "--missing", "holes.png", *words)
        assert outcome.status == 0, outcome.err
    refused = run(*RESTORE, "in/a.png", "--degradation", "Blur", "--kernel", "holes.png", "--preview")
    assert "--preview crop" in refused.error
