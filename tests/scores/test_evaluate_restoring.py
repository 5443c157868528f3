"""``evaluate`` that restores the photos itself, and never shows a fit the reference."""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import zeroair_pl
from helpers.command import TOY, run, save_toy
from helpers.evaluating import PAIRS, WORDS, evaluate, rows, with_references
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs import fitting
from zeroair_pl.scores.scoring import summarize


@pytest.fixture
def folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return with_references(folder, monkeypatch)


# --- results that are made


def test_photos_are_restored_with_each_seed(folder: Path) -> None:
    outcome = evaluate(*WORDS, "--images", "in/list.csv", "--seeds", "0", "3", "--results", "theirs")
    assert outcome.status == 0, outcome.err
    assert [(row["name"], row["seed"]) for row in rows("restored")] == [(n, s) for n in "abc" for s in ("0", "3")]
    run("restore", "--images", "in/b.png", *WORDS, "--out", "plain", "--seed", "3")
    assert (folder / "plain/b.png").read_bytes() == (folder / "out/seed_3/b.png").read_bytes()
    assert (folder / "out/seed_0/b.png").read_bytes() != (folder / "out/seed_3/b.png").read_bytes()
    pairs = [[float(row["psnr"]) for row in rows("restored") if row["name"] == name] for name in "abc"]
    psnr = json.loads((folder / "out/scores.json").read_text())["summary"]["restored"]["psnr"]
    assert psnr["images"] == 3
    assert psnr["mean"] == pytest.approx(statistics.fmean(map(statistics.fmean, pairs)), abs=1e-4)
    assert psnr["spread"] == pytest.approx(statistics.stdev(map(statistics.fmean, pairs)), abs=1e-4)
    assert psnr["seed_spread"] == pytest.approx(statistics.fmean(map(statistics.stdev, pairs)), abs=1e-4)
    assert psnr["seed_spread"] > 0
    assert rows("restored")[0]["nfe"] == "3", "two steps, and the first look"
    heads = next(line for line in outcome.out.splitlines() if "mean ± over images" in line)
    assert heads.split() == ["mean", "±", "over", "images", "degraded", "restored", "±", "over", "seeds", "theirs"]


def test_the_settings_beside_the_restored_photos_make_them_again(folder: Path) -> None:
    (folder / "mine.yaml").write_text(
        "degradation: Noise\nimages: in\nout: elsewhere\nseed: 4\nsampling: {sigma_max: 0.4}\n"
    )
    outcome = evaluate("--config", "mine.yaml", *TOY, "--references", "clean")
    assert outcome.status == 0, outcome.err
    assert run("restore", "--config", "out/seed_4/config.yaml", "--out", "again").status == 0
    for name in "abc":
        assert (folder / f"again/{name}.png").read_bytes() == (folder / f"out/seed_4/{name}.png").read_bytes()


def test_finished_photos_are_not_restored_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(*WORDS, *PAIRS)
    before = rows("restored")
    monkeypatch.setattr(fitting, "solve", lambda *_: pytest.fail("work was done again"))
    assert evaluate(*WORDS, *PAIRS).status == 0
    assert rows("restored") == before


def test_the_function_for_notebooks(folder: Path) -> None:
    found = zeroair_pl.evaluate("theirs", images="in", references="clean", out="out")
    assert found.exit_status == 0
    assert {each.result for each in found.scored} == {"degraded", "theirs"}
    settings: dict[str, Any] = {"sampling": {"steps": 2}, "prior": "helpers.toys.ToyPrior", "tensorboard": False}
    found = zeroair_pl.evaluate(config="denoise", images="in/list.csv", out="out", seeds=[1, 2], **settings)
    assert list(found.restored) == [1, 2]
    assert summarize(found.scored)["restored"]["seconds"].images == 3
    with pytest.raises(ConfigError, match="Did you mean 'references'"):
        zeroair_pl.evaluate("theirs", reference="clean")


# --- who sees a reference

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str | bytes):
        _opened.append(os.path.realpath(os.fsdecode(arguments[0])))


@cache
def _listen() -> None:
    sys.addaudithook(_note)  # for ever: there is no way to take it back


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Every file that Python opens, in order."""
    global _opened
    _listen()
    _opened = []
    yield _opened
    _opened = None


def test_no_reference_is_opened_before_all_is_restored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    real = fitting.solve

    def fit(*arguments: Any) -> Any:
        result = real(*arguments)
        opened.append("end of a fit")
        return result

    monkeypatch.setattr(fitting, "solve", fit)
    words = ("--images", "in/list.csv", "--references", "clean", "--seeds", "0", "1")
    assert evaluate(*WORDS, *words).status == 0
    references = {os.path.realpath(folder / f"clean/{name}.png") for name in "abc"}
    first = next(i for i, path in enumerate(opened) if path in references)
    assert opened[:first].count("end of a fit") == opened.count("end of a fit") == 6
    assert references <= set(opened[first:])
    assert os.path.realpath(folder / "out/seed_1/results.csv") not in opened[first:], "nor goes a score back there"
    assert "psnr" not in (folder / "out/seed_0/config.yaml").read_text()
    assert "clean" not in (folder / "out/seed_0/config.yaml").read_text()


def test_other_references_change_the_scores_and_no_restored_photo(folder: Path) -> None:
    evaluate(*WORDS, *PAIRS)
    before, scores = {path.name: path.read_bytes() for path in Path("out/seed_0").glob("*.png")}, rows("restored")
    for seed, name in enumerate("abc"):
        save_toy(folder / f"clean/{name}.png", seed + 20, height=32 + seed)
    evaluate(*WORDS, *PAIRS, "--overwrite")
    assert {path.name: path.read_bytes() for path in Path("out/seed_0").glob("*.png")} == before
    assert len(before) == 3
    for row, other in zip(scores, rows("restored"), strict=True):
        assert row["psnr"] != other["psnr"]
