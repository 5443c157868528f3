"""File locks. The system drops them when their process ends in any way."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock(file: int) -> bool | None:
    """Tries to lock an open file. Returns whether it succeeded; ``None`` if the file system has no locks.

    The lock lasts until the file is closed. It excludes other processes, and other openings in this process.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def same(path: Path, file: int) -> bool:
    """Whether the path still belongs to this open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except OSError:
        return False


@contextlib.contextmanager
def held(path: Path, patience: float) -> Iterator[None]:
    """Holds a lock: a file that exists only while the lock is held.

    Args:
        patience: seconds to wait for another holder; then the block runs without the lock.

    Raises:
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = lock(file)
        if locked is None or (locked and same(path, file)) or time.monotonic() > until:
            break
        os.close(file)  # another process holds it, or has just removed it
        time.sleep(0.005)
    try:
        yield
    finally:
        if locked:
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(file)
