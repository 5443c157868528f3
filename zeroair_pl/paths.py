"""Paths as people write them, and the digest of a file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def at_home(name: str | Path) -> Path:
    """``~/x`` and ``~user/x`` in the home folder of this person or of that user, everything else as it is.

    A name may also begin with ``~``: a file with exactly that name comes first, and so does a name that begins with
    ``./``, or with a user who is not known, as in a shell.
    """
    path = Path(name)
    if not path.parts or not path.parts[0].startswith("~") or str(name).startswith("./") or _exists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or the home folder is unknown
        return path


def existing(path: Path) -> Path:
    """The path itself if it exists, else the nearest folder above it that does."""
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # as for a name with a zero byte
        return False
