"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from zeroair_pl.errors import InputError
from zeroair_pl.photos.locks import lock

TEMPORARY = (".zeroair-", ".tmp")  # hidden, so that a search for images passes it by


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` under a temporary name beside ``path`` and move it there in one step; on failure leave neither.

    Raises InputError naming ``path``, e.g. for a full disk or a folder without write permission.
    """
    temporary = path.parent / f"{TEMPORARY[0]}{uuid.uuid4().hex}{TEMPORARY[1]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_held(temporary, data)
            try:
                os.replace(temporary, path)
            except FileNotFoundError:  # another run removed it as abandoned, before it was locked
                _write_held(temporary, data)
                os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _write_held(temporary: Path, data: bytes) -> None:
    with temporary.open("xb") as file:
        lock(file.fileno())  # not every file system has locks, which is no error
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the name with no content


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files in ``folder`` (not below it) of a ``write_atomically`` that was killed.

    One that another process is writing now is locked, and stays.
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
