"""Text for people, on the streams that exist; and a progress bar for one long job.

A stream may be missing (a service, ``pythonw``, ``2>&-``), closed, or unable to show a letter. None of these is a
reason to fail: what matters is in files.
"""

from __future__ import annotations

import io
import os
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

_OWN = str(Path(__file__).parent) + os.sep
_LIBRARIES = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib"))
_LOST: list[OSError] = []


def show(text: str, end: str = "\n", flush: bool = False) -> None:
    """A line on standard output, for results; with ``flush`` it appears at once. If it cannot be written, as on a full
    disk, ``lost`` returns the error: the work itself is done. Raises BrokenPipeError if whoever read it is gone.
    """
    if error := _print(stream("stdout"), text, end, flush):
        _LOST.append(error)


def lost() -> OSError | None:
    """What kept ``show`` from writing since the last question."""
    error = _LOST[0] if _LOST else None
    _LOST.clear()
    return error


def tell(text: str) -> None:
    """A line on standard error."""
    write(stream("stderr"), text)


@contextmanager
def telling_warnings(quiet: bool = False) -> Iterator[None]:
    """Prints the warnings of the block as lines on standard error, also if it fails; none if ``quiet``."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        for warning in caught if not quiet else ():
            tell(f"warning: {warning.message}")


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Within it a warning is one line on standard error, at once, without its place in the program.

    What libraries warn their programmers of concerns nobody at a command line. It is only shown if Python was asked
    for warnings (``-W``, ``PYTHONWARNINGS``).
    """

    def show(message: Warning | str, category: type[Warning], filename: str, *_: object, **__: object) -> None:
        if sys.warnoptions or filename.startswith(_OWN) or not filename.startswith(_LIBRARIES):
            tell(f"warning: {' '.join(str(message).split())}")

    before, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    finally:
        warnings.showwarning = before


def write(file: TextIO, text: str) -> None:
    """A line on a stream of news, which may be lost, as on a disk that is full; raises as ``show``."""
    _print(file, text, flush=True)


def _print(file: TextIO, text: str, end: str = "\n", flush: bool = False) -> OSError | None:
    try:
        print(_shown(file, text), end=end, file=file, flush=flush)
    except BrokenPipeError:
        raise
    except OSError as error:
        return error
    return None


def _shown(file: TextIO, text: str) -> str:
    """The text with escapes for letters that the stream cannot show."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def stream(name: Literal["stdout", "stderr"]) -> TextIO:
    """That stream of the process; if there is none, one that drops all text."""
    found: TextIO | None = getattr(sys, name)
    return _Nowhere() if found is None or found.closed else found


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def bar(label: str, total: int | None, unit: Literal["bytes", "steps"]) -> Iterator[Callable[..., None]]:
    """Shows on standard error how far a job is; gives ``show(done)``, or ``show(done, end)`` without a ``total``."""
    from rich import progress as rich
    from rich.console import Console

    out = stream("stderr")
    console = Console(file=out)
    # rich also believes FORCE_COLOR, which build servers set for logs in which a bar is thousands of lines.
    if not (console.is_jupyter or (out.isatty() and not console.is_dumb_terminal)):
        tell(label)
        yield lambda done, end=None: None
        return
    counts = [rich.DownloadColumn(), rich.TransferSpeedColumn()] if unit == "bytes" else [rich.MofNCompleteColumn()]
    title = rich.TextColumn("{task.description}", markup=False)
    columns = [title, rich.BarColumn(), *counts, rich.TimeRemainingColumn()]
    with rich.Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done, end=None: progress.update(task, completed=done, total=end or total)
