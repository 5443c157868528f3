"""Signals that ask a process to end act like Ctrl-C: the present fit stops, results are kept, a summary is printed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# SIGTERM comes from schedulers and `kill`, SIGHUP from a terminal that is closed.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """The process was asked to end. It is a ``KeyboardInterrupt``, so libraries treat it like Ctrl-C.

    Attributes:
        status: the exit status, 128 + the number of the signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.status = 128 + signum  # as a shell reports a process that a signal has ended


@contextmanager
def clean_stop() -> Iterator[None]:
    """Raises ``Stopped`` in the main thread at the first SIGTERM or SIGHUP; further ones change nothing.

    Only for the program that owns the process. A signal that is ignored, as under ``nohup``, stays ignored, and a
    handler that somebody else has set stays too.
    """

    asked = False

    def stop(signum: int, _: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise Stopped(signum)

    ours: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        ours = {each: signal.SIG_DFL for each in _SIGNALS if signal.getsignal(each) == signal.SIG_DFL}
    try:
        for each in ours:
            signal.signal(each, stop)
        yield
    finally:
        for each, before in ours.items():
            signal.signal(each, before)
