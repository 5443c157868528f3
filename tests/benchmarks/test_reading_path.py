"""The files that the documentation tells a reader to open are those that a photo passes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from helpers.command import save_toy, scripts

ROOT = Path(__file__).parents[2]


@scripts("benchmarks/reading_path.py")
def test_the_files_to_read_run_for_a_photo(script: ModuleType, tmp_path: Path) -> None:
    ran = script.traced(save_toy(tmp_path / "a.png"), "dehaze", 2, "helpers.toys.ToyPrior")
    assert set(script.PHOTO_PATH) - ran == {"priors/unet.py"}, "the toy prior stands in for it"
    assert len(script.MATHEMATICS) <= 8
    assert len(script.PHOTO_PATH) <= 25


@scripts("benchmarks/reading_path.py")
def test_the_documentation_names_them_in_this_order(script: ModuleType) -> None:
    text = (ROOT / "docs/development.md").read_text(encoding="utf-8")
    places = [text.find(f"(../zeroair_pl/{file})") for file in script.PHOTO_PATH]
    assert min(places) > 0
    assert places == sorted(places)
