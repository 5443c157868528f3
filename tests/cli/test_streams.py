"""Photos are restored even if streams are missing, or cannot show some characters."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from helpers.command import TOY, save_toy
from zeroair_pl import console, restore
from zeroair_pl.cli import main

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save_toy(tmp_path / "in/grün.png")


def zeroair(*words: str, ends: str = "", encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own; ``ends`` is what a shell appends to the command."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "zeroair_pl", *words]
    if not ends:
        return subprocess.run(command, capture_output=True, env=environment)
    return subprocess.run(["sh", "-c", f"exec {shlex.join(command)} {ends}"], capture_output=True, env=environment)


@posix
@pytest.mark.parametrize("ends", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_without_streams_photos_are_restored(photo: Path, ends: str) -> None:
    done = zeroair("restore", "--config", "denoise", *TOY, "--images", "in", "--out", "out", ends=ends)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    with Image.open("out/grün.png") as image:
        image.load()
    if ends == "2>&-":
        assert b"1 photo in" in done.stdout
    if ends == ">&-":
        assert b"restored" in done.stderr


@posix
def test_without_streams_a_mistake_still_has_its_exit_status(photo: Path) -> None:
    assert zeroair("restore", "--no-such-option", "1", ends=">&- 2>&-").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_output_that_does_not_arrive_is_an_error(photo: Path) -> None:
    done = zeroair("plugins", "list", ends="> /dev/full")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: standard output cannot be written (")
    assert len(done.stderr.splitlines()) == 1
    done = zeroair("restore", "--config", "denoise", *TOY, "--images", "in", "--out", "out", ends="2> /dev/full")
    assert done.returncode == 0


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, words: list[str]) -> bytes:
    """What a command writes to a standard output of that encoding, in this process."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, newline="\n")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(words) == 0
    stream.flush()
    return raw.getvalue()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932"])
@pytest.mark.parametrize(
    "words", [["restore", "--help"], ["plugins", "list"], ["restore", "--degradation.help", "Haze"], ["prior", "list"]]
)
def test_texts_are_shown_in_every_encoding(
    words: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    shown, full = printed(monkeypatch, encoding, words), printed(monkeypatch, "utf-8", words).decode()
    assert shown.decode(encoding) == full.encode(encoding, "backslashreplace").decode(encoding)


def test_names_are_shown_in_ascii(photo: Path) -> None:
    words = ["restore", "--config", "denoise", *TOY, "--out", "ö"]
    done = zeroair(*words, "--images", "in", encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert b"gr\\xfcn restored" in done.stderr
    assert b"Results: \\xf6 (" in done.stdout
    done = zeroair(*words, "--images", "ä.png", encoding="ascii")
    assert done.returncode == 1
    assert b"\\xe4.png does not exist" in done.stderr


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("stream", ["missing", "closed", "ascii"])
def test_in_a_script_too(photo: Path, name: str, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ascii_ = io.TextIOWrapper(io.BytesIO(), "ascii")
    if stream == "closed":
        ascii_.close()
    given = None if stream == "missing" else ascii_
    monkeypatch.setattr(sys, name, given)
    settings = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}, "strips": False, "tensorboard": False}
    rows = restore("in", "denoise", out="ö", **settings).rows
    assert [row.status for row in rows] == ["restored"]
    assert getattr(sys, name) is given


@pytest.mark.parametrize("asked", [False, True])
def test_what_libraries_warn_of_is_shown_to_who_asks(
    asked: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["default"] if asked else [])
    with warnings.catch_warnings(), console.warnings_as_lines():
        warnings.simplefilter("always")
        warnings.warn_explicit("isinstance(spec, Leaf) is deprecated", FutureWarning, pytest.__file__, 1)
        warnings.warn_explicit("use\n  another", UserWarning, os.__file__, 1)
        warnings.warn_explicit("a.csv: not used:\nthe column 'b'", UserWarning, console.__file__, 1)
        warnings.warn("a plugin has no data", stacklevel=1)
    of_libraries = ["warning: isinstance(spec, Leaf) is deprecated", "warning: use another"] if asked else []
    own = ["warning: a.csv: not used: the column 'b'", "warning: a plugin has no data"]
    assert capsys.readouterr().err.splitlines() == [*of_libraries, *own]
