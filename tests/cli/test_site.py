"""The documentation as a site: it is built without a network, loads nothing from one, and shows what was measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from helpers.command import scripts

ROOT = Path(__file__).parents[2]
LOADS = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"?([^\" >]+)|<link[^>]+href=\"?([^\" >]+)|url\(([^)]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with --strict: a link that leads nowhere is an error."""
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("docs") / "site"
    unreachable = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, **unreachable}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_every_page_is_there_and_can_be_found(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    front = (site / "index.html").read_text(encoding="utf-8")
    assert [page for page in pages if not (site / page).is_file() or str(page) not in front] == []


@pytest.mark.slow
def test_nothing_is_loaded_from_a_network(site: Path) -> None:
    loaded = {
        next(filter(None, found.groups()))
        for path in [*site.rglob("*.html"), *site.rglob("*.css")]
        for found in LOADS.finditer(path.read_text(encoding="utf-8"))
    }
    assert any(".css" in name for name in loaded), "or the expression finds nothing"
    assert [name for name in loaded if "//" in name and not name.strip("\"'").startswith("data:")] == []


@pytest.mark.slow
def test_the_reference_shows_docstrings(site: Path) -> None:
    page = (site / "reference" / "degradations.html").read_text(encoding="utf-8")
    for text in ("proximal", "initialize", "Haze", "The contract"):
        assert text in page


@scripts("docs/draw_benchmarks.py")
def test_figures_and_table_are_drawn_from_what_was_measured(script: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "benchmarks" / "results", tmp_path / "results")
    (tmp_path / "docs").mkdir()
    for page in ("benchmarks.md", "development.md"):
        shutil.copy(ROOT / "docs" / page, tmp_path / "docs")
    measured = json.loads((tmp_path / "results" / "quality.json").read_text())
    measured["sets"]["noise-real"]["rows"]["auto"]["psnr"] = 12.345
    (tmp_path / "results" / "quality.json").write_text(json.dumps(measured))
    script.main(tmp_path / "results", tmp_path / "docs")
    for page in ("benchmarks.md", "development.md"):
        assert "12.35 / " in (tmp_path / "docs" / page).read_text(encoding="utf-8")
    for name in ("quality", "split", "sizes", "denoising"):
        assert "<svg" in (tmp_path / "docs" / "images" / "benchmarks" / f"{name}.svg").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_committed_numbers() -> None:
    """Of the first two sets: after a new measurement, ``python docs/draw_benchmarks.py`` writes them anew."""
    pages = [(ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("benchmarks.md", "development.md")]
    sets = json.loads((ROOT / "benchmarks" / "results" / "quality.json").read_text(encoding="utf-8"))["sets"]
    for name in ("haze-hsts", "noise-real"):
        assert all(f"{sets[name]['rows']['auto']['psnr']:.2f} / " in page for page in pages)


def test_pictures_of_all_kinds_are_small() -> None:
    pictures = list((ROOT / "docs" / "images" / "kinds").glob("*.jpg"))
    assert len(pictures) > 8
    for path in pictures:
        assert path.stat().st_size <= 100_000, path.name
        assert Image.open(path).width == 808
