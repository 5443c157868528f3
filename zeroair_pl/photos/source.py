"""One photo that a user named, before it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One photo that a user named.

    Attributes:
        path: its file.
        name: a relative POSIX path without a suffix (``"trip/harbour"``), unique within one ``find_images`` call even
            where letter case does not count, and free of ``..``: outputs are ``<folder>/<name><anything>``. Append to
            it; never ``Path.with_suffix`` it, because a stem may hold dots.
        reference: the clean photo to score against.
        kind, strength: what a list says of this photo, as its cells have it.
        single: it was named itself, and not by a folder, a glob or a list.
        root: the folder that its name is relative to.
    """

    path: Path
    name: str = ""
    reference: Path | None = None
    kind: str = ""
    strength: str = ""
    single: bool = False
    root: Path = Path()
