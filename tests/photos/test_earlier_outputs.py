"""What an earlier run wrote is no photo of a later one, unless its folder is named; and names that begin with ``~``."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from helpers.command import TOY, run, save_toy
from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import at_home
from zeroair_pl.photos.finding import find_images

DENOISE = ("restore", "--config", "denoise", *TOY, "--strips", "true", "--save_maps", "true")


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two photos, their results in ``clear``, and a photo of a person's own there."""
    folder = tmp_path_factory.mktemp("earlier") / "holiday"
    save_toy(folder / "a.png")
    save_toy(folder / "trip/b.png", 1)
    assert run(*DENOISE, "--images", folder, "--out", folder / "clear").status == 0
    save_toy(folder / "clear/own.png", 2)
    return folder


def found(*specs: str | Path, results: bool = False) -> tuple[list[str], list[str]]:
    """Names, and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sources = find_images(specs, results=results)
    return [source.name for source in sources], [str(warning.message) for warning in caught]


def test_a_search_leaves_out_what_an_earlier_run_wrote(restored: Path) -> None:
    assert list((restored / "clear/strips").rglob("*.png")), "there is something to leave out"
    names, said = found(restored)
    assert names == ["a", "clear/own", "trip/b"]
    assert len(said) == 1
    assert f"of earlier runs are left out (in {restored / 'clear'})" in said[0]


@pytest.mark.parametrize("pattern", ["**", "**/*.png", "*"])
def test_a_glob_does_so_too(restored: Path, pattern: str) -> None:
    names, said = found(f"{restored}/{pattern}")
    assert sorted(names) == ["a", "clear/own", "trip/b"]
    assert len(said) == 1


@pytest.mark.parametrize("spec", ["", "/*.png", "/**"])
def test_results_are_restored_again_where_their_folder_is_named(restored: Path, spec: str) -> None:
    names, _ = found(f"{restored}/clear{spec}")
    assert sorted(names) == sorted(["a", "own", *([] if spec == "/*.png" else ["trip/b"])])


def test_results_count_where_results_are_asked_for(restored: Path) -> None:
    names, _ = found(restored, results=True)
    assert sorted(names) == ["a", "clear/a", "clear/own", "clear/trip/b", "trip/b"]


def test_a_second_run_restores_the_same_photos(restored: Path) -> None:
    outcome = run(*DENOISE[:-4], "--images", restored, "--out", restored.parent / "again")
    assert outcome.status == 0
    assert outcome.out.startswith("3 photos in ")
    assert "warning: " in outcome.err


def test_a_folder_of_results_alone_says_so(restored: Path, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    save_toy(tmp_path / "p.png")
    assert run(*DENOISE, "--images", tmp_path / "p.png", "--out", tmp_path / "all/out").status == 0
    with pytest.raises(ConfigError, match=r"holds no image .*; \d+ files of earlier runs are left out"):
        find_images(tmp_path / "all")


# --- names that begin with a tilde


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with one photo; the working folder is another one."""
    save_toy(tmp_path / "home/a.png")
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_what_is_there_is_meant_before_home(home: Path) -> None:
    assert at_home("~/a.png") == home / "a.png"
    Path("~").mkdir()
    assert at_home("~/a.png") == home / "a.png"
    Path("~/a.png").touch()
    assert at_home("~/a.png") == Path("~/a.png")
    assert at_home("./~/b.png") == Path("~/b.png")
    assert at_home("~no such user/x") == Path("~no such user/x")


@pytest.mark.parametrize("spec", ["~a.png", "./~a.png", "~*.png", "list.txt"])
def test_a_photo_with_a_tilde(home: Path, spec: str) -> None:
    save_toy(Path("~a.png"))
    Path("list.txt").write_text("~a.png\n")
    outcome = run(*DENOISE[:-4], "--images", spec, "--out", "~nobody of that name")
    assert outcome.status == 0, outcome.err
    assert Path("~nobody of that name/~a.png").is_file()


def test_home_in_a_list_and_as_the_output(home: Path) -> None:
    Path("list.txt").write_text("~/a.png\n")
    outcome = run(*DENOISE[:-4], "--images", "list.txt", "--out", "~/out")
    assert outcome.status == 0, outcome.err
    assert (home / "out/a.png").is_file()


def test_a_config_with_a_tilde(home: Path) -> None:
    assert "there is no such file" in run("restore", "--config", "~nobody.yaml", "--images", "x.png").error
    Path("~mine.yaml").write_text("seed: no number\n")
    assert "seed" in run("restore", "--config", "~mine.yaml", "--images", "x.png").error
