"""Explains why a path does not exist, and suggests the nearest name."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from functools import lru_cache
from itertools import islice
from pathlib import Path

from zeroair_pl.errors import did_you_mean

_COMPARED = 60  # names that are compared to find a similar one


def why_missing(path: Path) -> str:
    """Which part of ``path`` is missing, and the nearest name: ``"does not exist. Did you mean 'a.png'?"``."""
    missing = path
    if re.match(r"[a-z][a-z+.-]+:/", str(path)):  # a path joins the two slashes
        return "is an address, not a file. Download the photo first, and name the file."
    while not os.path.lexists(missing.parent) and missing.parent != missing:
        missing = missing.parent
    if missing.is_symlink():
        return (
            f"is a link to {os.readlink(missing)!r}, which does not exist."
            if missing == path
            else f"does not exist, because {str(missing)!r} is a link to nothing."
        )
    close = near(missing.name, missing.parent)
    what = "does not exist" if missing == path else f"does not exist, because there is no {str(missing)!r}"
    return f"{what}.{close}"


def near(name: str, folder: Path) -> str:
    """The hint that names the file in ``folder`` whose name is most like ``name``, or ``""``."""
    try:
        names = _names_in(folder, os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):
        return ""
    if (
        len(names) > _COMPARED
    ):  # for a list with 100,000 missing files, comparing each with all names would take an hour
        middle = bisect_left(names, name)
        names = names[max(0, middle - _COMPARED // 2) : middle + _COMPARED // 2]
    return did_you_mean(name, names)


@lru_cache(maxsize=4)
def _names_in(folder: Path, changed: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in islice(entries, 100_000))
