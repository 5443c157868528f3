"""A progress bar for one long job: on a terminal a bar, elsewhere one line when it begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal


@contextmanager
def bar(label: str, total: int | None, unit: Literal["bytes", "steps"]) -> Iterator[Callable[..., None]]:
    """Shows on standard error how far a job is, so that standard output is free for results.

        with bar("sampling", 50, "steps") as show:
            for i in range(50):
                ...
                show(i + 1)

    Args:
        label: what is done.
        total: where it ends; ``None`` if that shows later, in ``show(done, end)``.
        unit: what is counted.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(file=sys.stderr)
    # rich also believes FORCE_COLOR, which build servers set for logs in which a bar is thousands of lines.
    if not (console.is_jupyter or (sys.stderr.isatty() and not console.is_dumb_terminal)):
        print(label, file=sys.stderr, flush=True)
        yield lambda done, end=None: None
        return
    counts: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), *counts, TimeRemainingColumn()]
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done, end=None: progress.update(task, completed=done, total=end or total)
