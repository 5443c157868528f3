"""Claims: files that say which process works on what, in a folder that all processes see.

A process creates its claim exclusively and locks it by ``flock``. The system drops the lock when the process ends,
however it ends, so another process on the same machine sees at once that the claim is left over. Some file systems have
no locks, or locks that other machines do not see. There, the age of a claim decides: its owner renews the date of its
claims every ``BEAT`` seconds, and a claim that is older than ``SILENT`` is left over. Dates are compared with that of a
new file in the same folder, so the clocks of the machines do not matter.
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

BEAT = 10.0  # seconds between two renewals of a claim's date
SILENT = 120.0  # seconds without a renewal after which a process counts as dead; file systems may show dates 60 s late
EMPTY = 5.0  # seconds that a process has to write its name into a claim that it has created
SETTLE = 2.0  # seconds after which it is clear which of two machines has taken a claim over
_BYTES = 512  # the size of a claim; it never changes, so that a single write replaces the content


class Claims:
    """The claims of one process. Threads may share them.

    Attributes:
        id: names this object in all its claims.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._files: dict[Path, int | None] = {}  # what is claimed, and the open file
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._beating: threading.Thread | None = None

    def __contains__(self, path: Path) -> bool:
        return path in self._files

    def take(self, path: Path, **about: Any) -> dict[str, Any] | None:
        """Claims ``path``, unless a living process has it; ``about`` is for other processes to read.

        Returns:
            ``None`` if a living process has claimed it. Else what a dead process left in the claim; ``{}`` if there was
            no claim.
        """
        with self._lock:
            if path in self._files or self._closed.is_set():
                return None
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                before, file = self._taken(path, about)
            except OSError:  # a full disk, or no permission: the work that needs the claim reports that itself
                before, file = {}, None
            if before is None:
                return None
            self._files[path] = file
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="beat", daemon=True)
                self._beating.start()
            return before

    def renew(self, path: Path, **about: Any) -> None:
        """Replaces what a claim of this process says."""
        with self._lock:
            if (file := self._files.get(path)) is not None:
                with contextlib.suppress(OSError):  # a full disk
                    self._write(file, {**about, "locked": _read(file).get("locked", False)})

    def release(self, path: Path) -> None:
        """Gives up a claim of this process. A claim of another process is left alone."""
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
        """What ``take`` returns, and the open file of the claim if it is ours now."""
        while True:
            file, new = _opened(path)
            if file is None:  # another user's, without permission to lock it
                return (None if not _silent(path, SILENT) else {}), None
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, file)
                locked = _locked_soon(file) if new else lock(file)
                if not new and locked and not same(path, file):
                    continue  # it was just given up, or claimed again
                before = {} if new else _read(file)
                certain = new or _certain(before, locked)
                if not new and not (locked if certain else _silent(path, SILENT if before else EMPTY)):
                    return None, None
                self._write(file, {**about, "locked": bool(locked)})
                if not certain:
                    time.sleep(SETTLE)
                    if owner(path).get("id") != self.id:  # another machine wrote after us, and has it
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
    """The present time in nanoseconds, by the clock that gives files in ``folder`` their dates."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _certain(claim: dict[str, Any], locked: bool | None) -> bool:
    """Whether the lock tells if the owner of a claim is alive."""
    return locked is not None and bool(claim.get("locked")) and claim.get("machine") == _machine()


def _silent(path: Path, seconds: float) -> bool:
    """Whether the owner of a claim has not renewed its date for that many seconds."""
    return clock(path.parent) - os.stat(path).st_mtime_ns > seconds * 1e9


def _opened(path: Path) -> tuple[int | None, bool]:
    """The open file of a claim (``None`` if it may not be opened), and whether it is new."""
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            try:
                return os.open(path, os.O_RDWR), False
            except FileNotFoundError:
                continue  # it was just given up
            except PermissionError:
                return None, False


def _locked_soon(file: int) -> bool | None:
    """As ``lock``, for a new claim; waits up to a second, since a process that reads it locks it for a moment."""
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
    """An id of the running system, which its containers share, as they share locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"
