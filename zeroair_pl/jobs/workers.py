"""Starts further processes on this machine that restore photos of the same list, each on its own device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.ranks import WORKER, Rank

ENDING = 60.0  # seconds that a worker has to write its restored photos after it is asked to end
_PROGRAM = "from zeroair_pl.cli.program import main; raise SystemExit(main())"


class Workers:
    """Starts the processes, and ends them with the run.

    A process starts ``rank.size`` - 1 others, unless a launcher has started them, or it is a worker itself.

    Args:
        folder: holds a file with the settings while the workers run.
        settings: of the run, as YAML.
        takes_part: ``takes_part(pid)`` says whether that process has begun to share the list.
    """

    def __init__(self, rank: Rank, folder: Path, settings: str, takes_part: Callable[[int], bool]) -> None:
        self._count = 0 if rank.launched or rank.worker else rank.size - 1
        if self._count and not settings:
            raise ConfigError("trainer.devices: other processes need settings in words; use a config, or one device.")
        self._settings, self._file = settings, folder / f"{uuid.uuid4().hex}.yaml"
        self._takes_part = takes_part
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> int:
        """How many workers have not ended."""
        return sum(process.poll() is None for process in self._processes)

    def __enter__(self) -> Workers:
        if self._count:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(self._settings.encode("utf-8", "surrogateescape"))
            self._processes = [self._start(number) for number in range(1, self._count + 1)]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits until the workers have ended: by themselves after a finished list, or asked, as those that have not
        begun and all after an error."""
        for process in self._processes:
            if process.poll() is None and (kind is not None or not self._takes_part(process.pid)):
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + ENDING
        for process in self._processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._file.unlink(missing_ok=True)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        # The file has all settings. Environment variables would override it, so they are removed.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ZEROAIR_RESTORE__")}
        own = {WORKER: "1", "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(self._count + 1)}
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "restore", "--config", str(self._file)],
            env={**inherited, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each), **own},
            stdin=subprocess.PIPE,  # closed by the system if this process dies; see ``end_with_parent``
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # so Ctrl-C reaches only this process, which then asks the workers to end
        )


def end_with_parent() -> None:
    """Called in a worker: ends it when the process that started it has ended."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
