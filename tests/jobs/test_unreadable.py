"""Files and folders that this user may not read are named in one line. Root may read all, so the refusal is feigned."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.command import TOY, run, save_toy


def refusing(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, which fails for a path that ends with ``name``."""

    def call(path: Path, *args: Any, **options: Any) -> Any:
        if path.as_posix().endswith(name):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return function(path, *args, **options)

    return call


def test_a_folder_that_cannot_be_searched_is_said_before_it_is_said_to_be_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk(top: Path, onerror: Callable[[OSError], None], followlinks: bool) -> list[Any]:
        onerror(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(top)))
        return []

    (folder / "secret").mkdir()
    monkeypatch.setattr("zeroair_pl.photos.searching.os.walk", walk)
    outcome = run("restore", "secret", *TOY)
    assert outcome.status == 2
    warning, error = outcome.err.splitlines()
    assert warning == "warning: secret: the folder cannot be searched (Permission denied)."
    assert error.startswith("error: secret: the folder holds no image")


def test_a_config_in_a_folder_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", refusing(Path.is_file, "secret/mine.yaml"))
    assert run("restore", "--config", "secret/mine.yaml").error == (
        "--config secret/mine.yaml: cannot be reached (Permission denied)."
    )


def test_the_config_of_a_folder_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("restore", save_toy(folder / "a.png"), "--out", "out", "--degradation", "Noise", *TOY)
    assert run(*words).status == 0
    monkeypatch.setattr(Path, "read_bytes", refusing(Path.read_bytes, "out/config.yaml"))
    outcome = run(*words, "--seed", "1")
    assert (outcome.status, outcome.error) == (2, "out/config.yaml: cannot be read (Permission denied).")
