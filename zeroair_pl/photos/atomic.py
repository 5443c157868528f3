"""Writes files completely or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from zeroair_pl.errors import InputError
from zeroair_pl.photos.locks import lock

TEMPORARY = (".zeroair-", ".tmp")  # hidden, so that searches for images skip it


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` under a temporary name beside ``path``, and renames it in one step.

    After an error no temporary file is left. Raises InputError, such as for a full disk or a missing permission.
    """
    temporary = path.parent / f"{TEMPORARY[0]}{uuid.uuid4().hex}{TEMPORARY[1]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_held(temporary, data)
            try:
                os.replace(temporary, path)
            except FileNotFoundError:  # another run took it for abandoned before it was locked
                _write_held(temporary, data)
                os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _write_held(temporary: Path, data: bytes) -> None:
    with temporary.open("xb") as file:
        lock(file.fileno())  # does nothing on file systems without locks
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # so that a power cut cannot leave an empty file


def clear_leftovers(folder: Path) -> None:
    """Removes the temporary files in ``folder`` (not below it) that killed processes left.

    Files that another process is writing are locked, and stay.
    """
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name.startswith(TEMPORARY[0]) and e.name.endswith(TEMPORARY[1])]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            with (folder / name).open("rb") as file:
                abandoned = lock(file.fileno()) or os.name == "nt"  # Windows does not remove a file that is open
            if abandoned:
                os.unlink(folder / name)
