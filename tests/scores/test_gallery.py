"""``report.html`` of ``evaluate``: all versions of an image side by side, the worst first."""

from __future__ import annotations

import csv
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from helpers.browser import browser, open_page
from helpers.command import TOY, Outcome, run, save_toy
from helpers.reports import Page
from zeroair_pl.inspection.pages import address

__all__ = ["browser"]
PAIRS = ("--images", "in", "--references", "clean")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the photos a, b#1 and c, their references, and two systems' results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))  # as if nothing was ever downloaded
    for seed, name in enumerate(("a", "b#1", "c")):
        save_toy(tmp_path / f"clean/{name}.png", seed, 24, 32)
        for step, system in enumerate(("in", "theirs", "x<y>"), 1):
            picture = Image.open(f"clean/{name}.png").point(lambda value, k=4 * step + 9 * seed: min(255, value + k))
            (tmp_path / system).mkdir(exist_ok=True)
            picture.save(f"{system}/{name}.png")
    return tmp_path


def evaluate(*words: str) -> Outcome:
    return run("evaluate", "--out", "out", *words)


def test_all_versions_side_by_side_the_worst_first() -> None:
    outcome = evaluate("--results", "theirs", "x<y>", *PAIRS)
    assert outcome.status == 0, outcome.err
    assert "Look at them: out/report.html" in outcome.out
    page = Page("out/report.html")
    with Path("out/scores.csv").open(newline="") as file:
        scores = {(row["result"], row["name"]): row for row in csv.DictReader(file)}
    gains = {name: float(scores["theirs", name]["gain"]) for name in ("a", "b#1", "c")}
    assert list(page.photos) == sorted(gains, key=lambda name: gains[name])
    for name, entry in page.photos.items():
        assert [each["title"] for each in entry["pictures"]] == ["degraded", "theirs", "x<y>", "reference"]
        for each in entry["pictures"]:
            assert Image.open(Path("out", urllib.parse.unquote(each["src"]))).size == (32, 24)
        psnr = scores["theirs", name]["psnr"]
        assert entry["psnr theirs"] == pytest.approx(float(psnr))
        assert f"PSNR {float(psnr):.2f} · SSIM " in entry["pictures"][1]["text"]
        assert entry["pictures"][3].get("text", "") == ""
        linked = [Path("out", urllib.parse.unquote(href)).resolve() for _, href in entry["links"]]
        assert linked == [Path(each, f"{name}.png").resolve() for each in ("in", "clean", "theirs", "x<y>")]
    systems = page.data["systems"]
    assert [row[0] for row in systems["rows"]] == ["degraded", "theirs", "x<y>"]
    assert systems["best"][systems["head"].index("PSNR")] == ["degraded"]
    assert [row[1] for row in systems["rows"]] == ["3"] * 3


def test_of_what_is_restored_there_is_a_picture_for_each_seed() -> None:
    assert evaluate("--degradation", "Noise", *TOY, "--seeds", "0", "1", *PAIRS).status == 0
    titles = [each["title"] for each in Page("out/report.html").photos["a"]["pictures"]]
    assert titles == ["degraded", "restored, seed 0", "restored, seed 1", "reference"]
    assert "kind" in Page("out/seed_0/report.html").photos["a"]


def test_what_cannot_be_scored_is_said() -> None:
    Path("theirs/a.png").write_bytes(b"no photo")
    assert evaluate("--results", "theirs", *PAIRS).status == 1
    page = Page("out/report.html")
    (line,) = page.data["trouble"]
    assert line.startswith("theirs/a.png: ")
    assert [each["title"] for each in page.photos["a"]["pictures"]] == ["degraded", "reference"]


def test_none_where_none_is_wanted_or_one_of_mine_is_there() -> None:
    assert evaluate("--results", "theirs", *PAIRS, "--report", "false").status == 0
    assert not Path("out/report.html").exists()
    assert not Path("out/report_files").exists()
    Path("out/report.html").write_bytes(b"mine")
    outcome = evaluate("--results", "theirs", *PAIRS)
    assert outcome.status == 0
    assert "note: out/report.html: was not written by this program" in outcome.err
    assert Path("out/report.html").read_bytes() == b"mine"
    assert not Path("out/report_files").exists()


def test_in_a_browser(browser: Any, folder: Path) -> None:
    assert evaluate("--results", "theirs", "x<y>", *PAIRS).status == 0
    shown, errors = open_page(browser, f"file://{address(str(folder / 'out/report.html'))}")
    assert shown.locator("tbody th").all_inner_texts() == ["degraded", "theirs", "x<y>"]
    shown.locator("thead button").nth(2).click()
    assert shown.locator("tbody th").all_inner_texts() == ["degraded", "theirs", "x<y>"], "the best PSNR first"
    shown.locator("thead button").nth(0).click()
    first = shown.locator(".card h2").first.inner_text()
    assert shown.locator(".card").first.locator("figure").count() == 4
    assert shown.locator("#sort option").first.inner_text() == "worst first (theirs)"
    shown.click("#flip")
    assert shown.locator(".card h2").last.inner_text() == first
    shown.locator(".card h2 button").first.click()
    shown.select_option("#right", "reference")
    assert shown.locator(".big img").first.get_attribute("alt").endswith(", reference")
    shown.close()
    assert errors == []
