"""Settings of the process: its streams, what must be set before torch is loaded, and signals that ask it to end.

Only the command line changes them; the package as a library does not.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
_INT_MAX = 2**31 - 1

# A fit allocates and frees the same large buffers at every timestep. By default glibc requests each buffer from the
# kernel and returns it, and the kernel clears every page: this took a third of the time of a chain of 64 MiB additions.
_MALLOC = {
    _M_MMAP_THRESHOLD: 1 << 30,  # take buffers of up to 1 GiB from the heap
    _M_TRIM_THRESHOLD: 8 << 30,  # keep up to 8 GiB of freed heap
    _M_TOP_PAD: 256 << 20,  # grow the heap by 256 MiB at a time
}


def open_streams() -> None:
    """Opens the standard streams that are missing, and makes them write escapes for characters that they cannot show.

    A service or a desktop launcher may start the process without streams. The next files to be opened would get their
    numbers, and a message of a C library could be written into a photo.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as the process
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def prepare() -> bool:
    """Tunes thread waiting and memory allocation; returns whether the allocator accepted (glibc only)."""
    # The thread that writes TensorBoard's files runs Python code, and makes the fit wait after every operation. A
    # shorter switch interval shortens these waits.
    sys.setswitchinterval(0.0005)  # seconds; a tenth of the default
    # OpenMP threads that spin while they wait take cores from threads that have work, if anything else runs on the
    # machine. But the operations of a fit are short: threads that sleep at once must be woken all the time. A spin of
    # about ten microseconds takes a fifth off the time of a fit that runs alone, and adds as much to two fits at once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False  # another C library, or a user who tunes malloc by its own environment variables
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - absent in other C libraries, whose mallopt means nothing
        return all(libc.mallopt(option, min(value, _INT_MAX)) == 1 for option, value in _MALLOC.items())
    except (AttributeError, OSError):
        return False


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
