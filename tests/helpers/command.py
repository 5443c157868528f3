"""Runs the command line inside the test's process: no start-up time, and exact exit statuses and streams."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from helpers.outputs import table_of
from helpers.toys import toy_photo
from zeroair_pl.cli import main

# What makes a fit of a 32-pixel photo take a few hundredths of a second.
TOY = ("--prior", "helpers.toys.ToyPrior", "--sampling.steps", "2", "--tensorboard", "false", "--strips", "false")


class Outcome(NamedTuple):
    """What a user sees of one command."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on standard error, checked to be the only one."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, f"expected one line, got:\n{self.err}"
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


def run(*words: str | Path) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    return Outcome(status, out.getvalue(), err.getvalue())


def save_toy(path: Path, seed: int = 0, height: int = 32, width: int = 32) -> Path:
    """A toy photo as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (toy_photo(height, width, seed)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path)
    return path


def with_toys(folder: Path, names: str, rising: bool = False, height: int = 32, width: int = 32) -> Path:
    """The folder, after saving ``in/NAME.png`` for each letter; ``rising``: each is one pixel higher than the last."""
    for seed, name in enumerate(names):
        save_toy(folder / f"in/{name}.png", seed, height + rising * seed, width)
    return folder


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of the table in ``folder/out``."""
    return table_of(folder / "out")


def column(folder: Path, name: str) -> list[str]:
    """One column of that table."""
    return [row[name] for row in table(folder)]


def scripts(*paths: str) -> pytest.MarkDecorator:
    """The scripts, below the top folder, that a test gets as its ``script``."""
    return pytest.mark.parametrize("script", paths, indirect=True)
