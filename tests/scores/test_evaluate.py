"""``evaluate`` of results that are there, and what cannot be scored."""

from __future__ import annotations

import csv
import json
import os
import statistics
import sys
from pathlib import Path

import pytest
import torch
from torchvision.models import alexnet

from helpers.command import Outcome, run, save_toy
from helpers.evaluating import PAIRS, WORDS, evaluate, rows, with_references
from zeroair_pl.jobs import fitting
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.scores import metrics


@pytest.fixture
def folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return with_references(folder, monkeypatch)


def errors(outcome: Outcome) -> list[str]:
    return [line.removeprefix("error: ") for line in outcome.err.splitlines() if line.startswith("error: ")]


# --- results that are there


def test_results_side_by_side_with_the_degraded_photos(folder: Path) -> None:
    outcome = evaluate("--results", "theirs", "clean", *PAIRS)
    assert outcome.status == 0, outcome.err
    assert [row["name"] for row in rows("theirs")] == ["a", "b", "c"]
    truth, degraded, found = (
        load_photo(folder / path).pixels[None] for path in ("clean/b.png", "in/b.png", "theirs/b.jpg")
    )
    row = rows("theirs")[1]
    assert float(row["psnr"]) == pytest.approx(metrics.psnr(found, truth).item(), abs=1e-4)
    assert float(row["ssim"]) == pytest.approx(metrics.ssim_paper(found, truth).item(), abs=1e-4)
    assert float(row["ssim_rgb"]) == pytest.approx(metrics.ssim(found, truth).item(), abs=1e-4)
    assert float(row["blur"]) == pytest.approx(metrics.blur(found).item(), abs=1e-4)
    assert float(row["gain"]) == pytest.approx(float(row["psnr"]) - metrics.psnr(degraded, truth).item(), abs=1e-4)
    assert rows("degraded")[1]["gain"] == row["seed"] == ""
    written = json.loads((folder / "out/scores.json").read_text())
    assert list(written["summary"]) == ["degraded", "theirs", "clean"]
    mean = statistics.fmean(float(row["psnr"]) for row in rows("theirs"))
    assert written["summary"]["theirs"]["psnr"]["mean"] == pytest.approx(mean, abs=1e-4)
    worst = min(rows("theirs"), key=lambda row: float(row["gain"]))
    assert written["worst"]["theirs"][0]["name"] == worst["name"]
    with (folder / "out/summary.csv").open(newline="") as file:
        (cells,) = [each for each in csv.DictReader(file) if (each["result"], each["metric"]) == ("theirs", "psnr")]
    assert (float(cells["mean"]), cells["images"], cells["seed_spread"]) == (pytest.approx(mean, abs=1e-4), "3", "")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["PSNR", "/", "SSIM", "degraded", "theirs", "clean"] in lines
    assert any(line[:2] == ["PSNR", f"{written['summary']['degraded']['psnr']['mean']:.2f}"] for line in lines)
    assert f"least gain of theirs: {worst['name']} {float(worst['gain']):.2f}" in outcome.out
    assert "least gain of degraded" not in outcome.out


@pytest.mark.parametrize(
    "words",
    [
        ("--results", "theirs", "--references", "clean"),
        ("--results", "theirs", "--references", "in/list.csv"),
        ("--results", "theirs", "--images", "in/list.csv"),
        ("--results", "theirs.csv"),
    ],
    ids=["folders", "a list of references", "a list of photos", "a list of results"],
)
def test_every_way_to_name_references_gives_the_same_scores(folder: Path, words: tuple[str, ...]) -> None:
    lines = [f"theirs/{name}.jpg,clean/{name}.png\n" for name in "abc"]
    (folder / "theirs.csv").write_text("".join(["image,reference\n", *lines]))
    outcome = evaluate(*words)
    assert outcome.status == 0, outcome.err
    result = "theirs.csv" if words[1] == "theirs.csv" else "theirs"
    for row, name in zip(rows(result), "abc", strict=True):
        pair = (load_photo(folder / path).pixels[None] for path in (f"theirs/{name}.jpg", f"clean/{name}.png"))
        assert float(row["psnr"]) == pytest.approx(metrics.psnr(*pair).item(), abs=1e-4)


def test_what_a_restoration_wrote_beside_its_photos_is_no_result(folder: Path) -> None:
    words = [word for word in WORDS if word not in ("--strips", "--tensorboard", "false")]
    assert run("restore", "--images", "in/a.png", "in/b.png", *words, "--save_maps", "--out", "ours").status == 0
    assert (folder / "ours/strips/a.png").is_file()
    assert evaluate("--results", "ours", "--references", "clean/a.png", "clean/b.png").status == 0
    assert evaluate("--results", "ours").status == 0
    assert [row["name"] for row in rows("ours")] == ["a", "b"]
    (folder / "ours/b.png").unlink()
    outcome = evaluate("--results", "ours", *PAIRS)
    assert errors(outcome)[0].startswith("b: there is no image of that name in ours"), "its strip does not count"


def test_folders_of_one_name_are_told_apart_and_files_below_folders_found(folder: Path) -> None:
    save_toy(folder / "x/same/deep/a.png", 1)
    save_toy(folder / "y/same/a.png", 10)
    assert evaluate("--results", "x/same", "y/same", "--references", "clean/a.png").status == 0
    assert float(rows("y/same")[0]["psnr"]) > 100 > float(rows("same")[0]["psnr"])
    save_toy(folder / "x/same/other/a.png", 1)
    outcome = evaluate("--results", "x/same", "y/same", "--references", "clean/a.png")
    assert outcome.status == 1
    assert "a: several files in x/same match" in errors(outcome)[0]


def test_without_references_there_is_what_needs_none(folder: Path) -> None:
    outcome = evaluate("--results", "theirs", "--images", "in")
    assert outcome.status == 0
    assert outcome.err == "", "nor is LPIPS missed"
    assert list(rows("theirs")[0]) == ["result", "name", "seed", "noise", "blur"]
    assert "noise / blur" in outcome.out
    assert "least" not in outcome.out, "neither score says what is better"


def test_lpips_is_used_where_it_is_at_hand_and_missed_once_where_it_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert outcome.status == 0
    assert outcome.err.count("no LPIPS") == len(outcome.err.splitlines()) == 1
    assert "lpips" not in rows("theirs")[0]
    weights = metrics.lpips_weights()
    weights.parent.mkdir(parents=True)
    torch.save({k: v for k, v in alexnet().state_dict().items() if k.startswith("features.")}, weights)
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert (outcome.status, outcome.err) == (0, "")
    assert float(rows("theirs")[0]["lpips"]) > 0
    assert "learned perceptual distance" in outcome.out
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder / "other hub"))
    weights = metrics.lpips_weights()
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"cut off")
    before = (folder / "out/scores.json").read_bytes()
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert outcome.status == 2
    assert f"{weights} cannot be read" in outcome.error
    assert (folder / "out/scores.json").read_bytes() == before


def test_a_long_list_is_not_printed(folder: Path) -> None:
    for i in range(41):
        save_toy(folder / f"many/{i}.png", i)
    outcome = evaluate("--results", "many")
    assert "41 images, listed in" in outcome.out
    assert len(rows("many")) == 41


# --- what cannot be scored


def test_each_file_that_cannot_be_scored_has_one_line(folder: Path) -> None:
    save_toy(folder / "theirs/a.jpg", 0, height=50)
    (folder / "theirs/b.jpg").write_bytes(b"\xff\xd8 and no more")
    (folder / "theirs/c.jpg").unlink()
    outcome = evaluate("--results", "theirs", "clean", *PAIRS)
    assert outcome.status == 1
    size, damaged, missing = errors(outcome)
    assert size == "theirs/a.jpg: is 32x50 px, but its reference clean/a.png 32x32 px."
    assert damaged.startswith("theirs/b.jpg: ")
    assert missing == "c: there is no image of that name in theirs."
    assert rows("theirs") == []
    assert len(rows("clean")) == len(rows("degraded")) == 3
    assert json.loads((folder / "out/scores.json").read_text())["errors"] == [size, damaged, missing]


def test_a_bad_reference_leaves_its_image_unscored(folder: Path) -> None:
    (folder / "clean/a.png").write_bytes(b"")
    save_toy(folder / "clean/b.png", 1, height=60)
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert outcome.status == 1
    assert errors(outcome) == [
        "clean/a.png: empty (0 bytes).",
        "in/b.png: is 32x33 px, but its reference clean/b.png 32x60 px.",
    ]
    assert [row["name"] for row in rows("theirs")] == ["c"]


def test_means_over_different_images_are_pointed_out(folder: Path) -> None:
    (folder / "theirs/b.jpg").unlink()
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert "not over the same images: degraded 3, theirs 2" in outcome.out


def test_bad_photos_are_reported_once_and_the_others_restored(folder: Path) -> None:
    (folder / "in/a.png").write_bytes(b"\x89PNG and no more")
    (folder / "clean/c.png").unlink()
    save_toy(folder / "in/d.png")
    save_toy(folder / "clean/d.png")
    (folder / "in/list.csv").write_text("image\na.png\nb.png\nc.png\nd.png\nabsent.png\n")
    save_toy(folder / "clean/absent.png")
    outcome = evaluate(*WORDS, "--images", "in/list.csv", "--references", "clean", "--seeds", "0", "1")
    assert outcome.status == 1
    said = errors(outcome)
    assert [line for line in said if line.startswith("c: there is no image of that name in clean")]
    assert [line for line in said if line.startswith("in/absent.png does not exist")]
    assert [line for line in said if line.startswith("in/a.png: ")]
    assert {row["name"] for row in rows("restored")} == {"b", "d"}


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "Name folders of results"),
        (("--references", "clean"), "Name folders of results"),
        (("--results", "their", *PAIRS), "--results their does not exist. Did you mean 'theirs'?"),
        (("--results", "theirs/a.jpg", *PAIRS), "expected a folder or a .csv/.txt list"),
        (("--results", "empty", *PAIRS), "empty: the folder holds no image"),
        (("--results", "theirs", "--images", "in", "--references", "other"), "for none of the images"),
        (("--config", "denoise", "--images", "in", "--references", "other"), "for none of the images"),
        (("--degradation", "Noise", "--references", "clean"), "--images: name the degraded photos"),
        (("--results", "theirs", "--seeds", "one"), "seeds"),
        (("--results", "theirs", "--reference", "clean"), "Did you mean '--references'?"),
    ],
)
def test_nothing_to_score_is_said_before_any_work(
    folder: Path, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "solve", lambda *_: pytest.fail("work was begun"))
    (folder / "empty").mkdir()
    save_toy(folder / "other/x.png")
    outcome = evaluate(*words)
    assert outcome.status == 2
    assert said in outcome.error
    assert not (folder / "out").exists()


def test_if_nothing_can_be_scored_there_are_no_tables(folder: Path) -> None:
    for name in "abc":
        (folder / f"clean/{name}.png").write_bytes(b"")
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert outcome.status == 2
    assert len(errors(outcome)) == 4
    assert errors(outcome)[-1].startswith("Nothing could be scored")
    assert not (folder / "out").exists()


def test_tables_that_cannot_be_written_are_named(folder: Path) -> None:
    (folder / "out").write_text("mine")
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert outcome.status == 2
    assert "--out out: is a file; expected a folder" in outcome.err
    assert (folder / "out").read_text() == "mine"


def test_photos_that_are_not_there_are_not_sent_to_be_restored(folder: Path) -> None:
    (folder / "list.txt").write_text("in/absent.png\nin/gone.png\n")
    outcome = evaluate(*WORDS, "--images", "list.txt")
    assert outcome.status == 2
    absent, gone, nothing = errors(outcome)
    assert (absent.split()[0], gone.split()[0]) == ("in/absent.png", "in/gone.png")
    assert nothing.startswith("None of the photos can be restored")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is text")
def test_a_file_name_need_not_be_text(folder: Path) -> None:
    odd = Path(os.fsdecode(b"odd/caf\xe9.png"))
    save_toy(odd)
    outcome = evaluate("--results", "odd")
    assert outcome.status == 0, outcome.err
    assert rows("odd")[0]["name"] == r"caf\udce9"
    assert list(json.loads((folder / "out/scores.json").read_text())["worst"]) == ["odd"]
