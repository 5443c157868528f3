"""Mistakes that somebody has made: each is one line that says what to do, and none is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.command import TOY, run, save_toy, table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], ["--out"]])
def test_an_output_folder_without_a_name(words: list[str], folder: Path) -> None:
    """As from --out "$UNSET": results, a table and a config would lie in the working folder."""
    done = run("restore", *TOY, "--images", "a.png", *words)
    assert done.status == 2
    assert done.error == "--out: expected a folder after it, but it is empty; '--out .' is this folder."
    assert [path.name for path in folder.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]\n", "my.yaml: a part of it contains itself (an anchor & with its alias *)."),
        ("sampling: 3\n", "sampling: expected 'key: value' lines, but got 3."),
        ("out: [1, 2]\n", "out: expected a path."),
    ],
)
def test_a_config(text: str, says: str, folder: Path) -> None:
    """The second mistake comes with an option of the same group, which could hide it."""
    Path("my.yaml").write_text(text)
    assert run("restore", "--config", "my.yaml", *TOY, "--images", "a.png").error.endswith(says)


def test_redo_of_a_photo_that_failed(folder: Path) -> None:
    Path("bad.png").write_bytes(b"no picture at all")
    assert run("restore", *TOY, "--degradation", "Noise", "--images", "a.png", "bad.png", "--out", "out").status == 1
    error = run("redo", "out", "bad", "--kind", "haze").error
    assert error.startswith("bad: was never restored (bad.png: ")
    assert error.endswith("; restore it first.")


def test_a_folder_of_results_that_is_not_there(folder: Path) -> None:
    error = run("evaluate", "--results", "nowhere", "--out", "scores").error
    assert error == "--results nowhere does not exist; expected a folder or a .csv/.txt list of results."


def test_scores_into_a_file_are_refused_before_anything_is_scored(folder: Path) -> None:
    save_toy(folder / "results/a.png")
    done = run("evaluate", "--results", "results", "--out", "a.png")
    assert (done.status, done.out) == (2, "")
    assert done.error.startswith("--out a.png: is a file; expected a folder")


def test_names_that_differ_in_the_case_of_letters_stay_short(folder: Path) -> None:
    """In an earlier version such names grew to the full path, and the results went to OUT/tmp/…"""
    for name in ("in/a.png", "in/A.PNG", "in/a.jpg", "in/trip/a.png"):
        save_toy(folder / name)
    if len(list((folder / "in").iterdir())) < 4:
        pytest.skip("this disk does not tell a.png from A.PNG")
    assert run("restore", *TOY, "--degradation", "Noise", "--images", "in", "--out", "out").status == 0
    assert sorted(row["name"] for row in table(folder)) == ["A_PNG", "a_jpg", "a_png-2", "trip/a"]
