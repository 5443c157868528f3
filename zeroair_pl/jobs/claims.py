"""Claims: files that say which process works on what, in a folder that all of them see.

A claim is created exclusively and locked by ``flock``. The system drops the lock when the process ends, however it
ends, so another process on the same machine knows at once that a claim is left over. Where locks are unknown, or do not
reach from one machine to another, the owner's sign of life counts: it renews the date of its claims every ``BEAT``
seconds, and a claim that is older than ``SILENT`` is left over. Dates are compared with that of a new file in the same
folder, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from zeroair_pl.photos.locks import lock, same

BEAT = 10.0  # seconds between two signs of life
SILENT = 120.0  # seconds without one after which a process counts as dead; file systems may show dates 60 s late
EMPTY = 5.0  # seconds that a process has to write its name into a claim that it has created
SETTLE = 2.0  # seconds after which it is clear which of two machines has taken a claim over
_BYTES = 512  # of a claim; always the same, so that it is replaced by a single write


class Claims:
    """The claims of one process. Threads may share them.

    Attributes:
        id: of this object, in all its claims.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._files: dict[Path, int | None] = {}  # what is claimed, and the open file
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._beating: threading.Thread | None = None

    def __contains__(self, path: Path) -> bool:
        return path in self._files

    def take(self, path: Path, **about: Any) -> dict[str, Any] | None:
        """Claims ``path``, unless a living process has it.

        Args:
            about: what others are to know; JSON.

        Returns:
            ``None`` if it is somebody's. Else what a dead process left in the claim; ``{}`` if there was no claim.
        """
        with self._lock:
            if path in self._files or self._closed.is_set():
                return None
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                before, file = self._taken(path, about)
            except OSError:  # a full disk, or no permission: what needs the claim will say so itself
                before, file = {}, None
            if before is None:
                return None
            self._files[path] = file
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="beat", daemon=True)
                self._beating.start()
            return before

    def renew(self, path: Path, **about: Any) -> None:
        """Replaces what others are to know of a claim of this process."""
        with self._lock:
            if (file := self._files.get(path)) is not None:
                with contextlib.suppress(OSError):  # a full disk
                    self._write(file, {**about, "locked": _read(file).get("locked", False)})

    def release(self, path: Path) -> None:
        """Gives up a claim of this process; no other is touched."""
        with self._lock:
            if (file := self._files.pop(path, None)) is None:
                return
            # While the machine slept, others may have taken it over.
            ours = same(path, file) and _read(file).get("id") == self.id
            if os.name == "nt":  # where no open file can be removed
                os.close(file)
            if ours:
                with contextlib.suppress(OSError):
                    path.unlink()
            if os.name != "nt":
                os.close(file)

    def close(self) -> None:
        """Gives up all claims, and takes no more."""
        self._closed.set()
        with self._lock:
            for path in list(self._files):
                self.release(path)
        if self._beating is not None:
            self._beating.join()

    def _taken(self, path: Path, about: dict[str, Any]) -> tuple[dict[str, Any] | None, int | None]:
        """What ``take`` returns, and the open file of a claim that is ours now."""
        while True:
            file, new = _opened(path)
            if file is None:  # of another user, who does not let us lock it
                return (None if not _silent(path, SILENT) else {}), None
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, file)
                locked = _locked_soon(file) if new else lock(file)
                if not new and locked and not same(path, file):
                    continue  # given up in this moment, or claimed anew
                before = {} if new else _read(file)
                certain = new or _certain(before, locked)
                if not new and not (locked if certain else _silent(path, SILENT if before else EMPTY)):
                    return None, None
                self._write(file, {**about, "locked": bool(locked)})
                if not certain:
                    time.sleep(SETTLE)
                    if owner(path).get("id") != self.id:  # another machine was later, and has it
                        return None, None
                stack.pop_all()
                return before, file

    def _write(self, file: int, about: dict[str, Any]) -> None:
        who = {"id": self.id, "machine": _machine(), "host": socket.gethostname(), "pid": os.getpid()}
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, json.dumps({**who, **about}).encode().ljust(_BYTES))

    def _beat(self) -> None:
        while not self._closed.wait(BEAT):
            with self._lock:
                for path, file in self._files.items():
                    with contextlib.suppress(OSError):
                        if file is not None:
                            os.utime(file if os.utime in os.supports_fd else path)


def owner(path: Path) -> dict[str, Any]:
    """What a claim says, dead or alive; ``{}`` if there is none."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return {}
    try:
        return _read(file)
    finally:
        os.close(file)


def clock(folder: Path) -> int:
    """Nanoseconds of now, by the clock that gives files in ``folder`` their dates."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _certain(claim: dict[str, Any], locked: bool | None) -> bool:
    """Whether the lock tells if the owner of a claim is alive."""
    return locked is not None and bool(claim.get("locked")) and claim.get("machine") == _machine()


def _silent(path: Path, seconds: float) -> bool:
    """Whether the owner of a claim has given no sign of life for so long."""
    return clock(path.parent) - os.stat(path).st_mtime_ns > seconds * 1e9


def _opened(path: Path) -> tuple[int | None, bool]:
    """The open file of a claim, and whether it is new; no file where there is one that may not be opened."""
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            try:
                return os.open(path, os.O_RDWR), False
            except FileNotFoundError:
                continue  # given up in this moment
            except PermissionError:
                return None, False


def _locked_soon(file: int) -> bool | None:
    """As ``lock``, for a new claim: who looks at it leaves it again at once."""
    until = time.monotonic() + 1
    while (locked := lock(file)) is False and time.monotonic() < until:
        time.sleep(0.001)
    return locked


def _read(file: int) -> dict[str, Any]:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        found = json.loads(os.read(file, 2 * _BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@functools.cache
def _machine() -> str:
    """The running system: its containers share locks, whatever they are called."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"
