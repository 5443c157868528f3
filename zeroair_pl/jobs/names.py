"""Names in an output folder: which folders may be one, and how the pictures of a photo are named."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import existing
from zeroair_pl.photos.formats import SUPPORTED

LONGEST = 255  # bytes of a file's name


def check_folder(folder: Path) -> None:
    """Raises ConfigError if an output folder is a file, or has the name of a picture."""
    what = "is a file" if folder.is_file() else "is named like a picture" if folder.suffix.lower() in SUPPORTED else ""
    if what and not folder.is_dir():
        raise ConfigError(
            f"--out {folder}: {what}; expected a folder: results have the names of their photos. "
            f"For example: --out {folder.with_suffix('')}"
        )


def check_writable(folder: Path) -> None:
    """Raises OSError if the folder could not be made or written. It checks permissions only, and writes nothing."""
    there = existing(folder)
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def side_picture(kind: str, name: str, ending: str) -> str:
    """The file of a picture of the photo called ``name``, in the output folder: ``KIND/NAME`` and the ending.

    A name of more than 255 bytes is cut, and a digest of the whole name keeps it different from others.
    """
    parent, slash, last = name.rpartition("/")
    data = os.fsencode(last)
    if len(data) + len(os.fsencode(ending)) > LONGEST:
        ending = f"~{hashlib.sha256(data).hexdigest()[:8]}{ending}"
        last = data[: LONGEST - len(os.fsencode(ending))].decode("utf-8", "ignore")
    return f"{kind}/{parent}{slash}{last}{ending}"
