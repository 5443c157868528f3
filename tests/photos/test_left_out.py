"""Files that a search of folders leaves out are reported in one line, with the extra that would read them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from zeroair_pl.errors import ConfigError
from zeroair_pl.photos import formats
from zeroair_pl.photos.finding import find_images


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one photo and, below it, what phones and cameras put beside; no extra is installed."""
    for name in ("a.png", "b.HEIC", "sub/c.heic", "sub/d.NEF", "sub/e.mov", "notes.txt", ".hidden.heic"):
        path = tmp_path / "phone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    have(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return Path("phone")


def have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(formats, "installed", lambda extra: extra in names)
    formats.searched.cache_clear()


def found(*specs: str) -> tuple[list[str], list[str]]:
    """Names, and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sources = find_images(specs)
    return [source.path.name for source in sources], [str(warning.message) for warning in caught]


@pytest.mark.parametrize("specs", [["phone"], ["phone/*"], ["phone/**/*"], ["phone", "phone/*"]])
def test_one_line_counts_them_by_suffix(phone: Path, specs: list[str]) -> None:
    names, said = found(*specs)
    assert names == ["a.png"]
    (line,) = said
    assert line.startswith("4 files are left out: 2 .heic (")
    assert "1 .mov (a video)" in line
    assert "1 .nef (pip install 'zeroair-pl[raw]')" in line


def test_nothing_is_said_of_notes_and_of_files_named_one_by_one(phone: Path) -> None:
    (phone / "list.txt").write_text("a.png\nb.HEIC\n")
    assert found("phone/a.png") == (["a.png"], [])
    assert found("phone/list.txt") == (["a.png", "b.HEIC"], [])
    assert found("phone/*.png") == (["a.png"], [])


def test_raw_files_are_found_where_the_extra_is_there(phone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, "raw")
    names, (line,) = found("phone")
    assert names == ["a.png", "d.NEF"]
    assert ".nef" not in line


@pytest.mark.parametrize("spec, what", [("phone", "the folder holds no image"), ("phone/*", "1 path.s. but no image")])
def test_a_folder_of_nothing_else_says_what_it_holds(phone: Path, spec: str, what: str) -> None:
    (phone / "a.png").unlink()
    (phone / "b.HEIC").unlink()
    (phone / "notes.txt").unlink()
    with pytest.raises(ConfigError, match=rf"{what} .*; 3 files are left out: 1 .heic \(.*1 .nef \(pip install"):
        find_images(spec)


def test_the_output_folder_is_not_counted(phone: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        find_images("phone", skip=phone / "sub")
    assert [str(warning.message).split(" (")[0] for warning in caught] == ["1 file is left out: 1 .heic"]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    formats.searched.cache_clear()
