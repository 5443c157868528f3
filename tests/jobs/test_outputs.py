"""Where outputs go: what --out may be, and pictures beside photos with very long names."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.command import TOY, Outcome, run, save_toy, table

WORDS = ("--images", "in", "--degradation", "Haze", *TOY, "--strips", "true", "--save_maps", "true")


def restore(out: str = "out") -> Outcome:
    return run("restore", *WORDS, "--out", out)


@pytest.mark.parametrize("name", ["result.jpg", "sub/result.TIFF"])
def test_an_out_that_is_named_like_a_picture_is_refused(folder: Path, name: str) -> None:
    save_toy(folder / "in/a.png")
    outcome = restore(name)
    assert outcome.status == 2
    stem = name.rpartition(".")[0]
    assert outcome.error == (
        f"--out {name}: is named like a picture; expected a folder: results have the names of their photos. "
        f"For example: --out {stem}"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["in"]
    Path(name).mkdir(parents=True)
    assert restore(name).status == 0, "a folder that is there may have any name"
    assert (folder / name / "a.png").is_file()


def test_an_out_that_is_a_file_is_refused(folder: Path) -> None:
    save_toy(folder / "in/a.png")
    Path("notes").write_text("mine")
    outcome = restore("notes")
    assert outcome.status == 2
    assert outcome.error.startswith("--out notes: is a file; expected a folder")
    assert Path("notes").read_text() == "mine"


@pytest.mark.parametrize("letter, length", [("n", 240), ("n", 251), ("ß", 125)])
def test_pictures_of_photos_with_very_long_names(folder: Path, letter: str, length: int) -> None:
    """The limit of 255 bytes is for the picture's name, which is longer than the photo's."""
    names = [letter * (length - 1) + end for end in "ab"]
    for seed, name in enumerate(names):
        save_toy(folder / f"in/{name}.png", seed)
    outcome = restore()
    assert outcome.status == 0, outcome.err
    assert [(row["status"], row["note"]) for row in table(folder)] == [("restored", "")] * 2
    strips, maps = list(Path("out/strips").iterdir()), list(Path("out/maps").iterdir())
    assert len(strips) == 2
    assert len(maps) == 4, "of each photo its own"
    for path in (*strips, *maps):
        assert path.name.startswith(letter * 50)
    assert {path.stem.rpartition("_")[2] for path in maps} == {"airlight", "transmission"}
    assert "2 skipped" in restore().out
