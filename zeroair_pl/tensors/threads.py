"""Results that do not depend on the number of threads, where this takes no more time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PIXELS = 2**17  # of a photo, up to which its small operations are no slower in one thread


class _Outside:
    """The number of threads outside of ``one_thread``, which torch keeps for the process; fits may overlap."""

    lock = threading.Lock()
    fits = 0
    threads = 0


@contextmanager
def one_thread(pixels: int) -> Iterator[None]:
    """Within it, operations on photos of so many pixels take one thread of the CPU, if that is few enough.

    A sum over an image that is split among threads rounds as they split it, and a fit magnifies that. The operations
    of TDM and TDG on a small photo take a fraction of a millisecond, too short to start a second thread. The
    prior's convolutions split no sum, and have all threads: see ``all_threads``.
    """
    if pixels > PIXELS:
        yield
        return
    with _Outside.lock:
        if not _Outside.fits:
            _Outside.threads = torch.get_num_threads()
        _Outside.fits += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Outside.lock:
            _Outside.fits -= 1
        torch.set_num_threads(_Outside.threads)


@contextmanager
def all_threads() -> Iterator[None]:
    """Within it, as many threads as outside of ``one_thread``: for the prior."""
    if not _Outside.fits or torch.get_num_threads() == _Outside.threads:
        yield
        return
    torch.set_num_threads(_Outside.threads)
    try:
        yield
    finally:
        torch.set_num_threads(1)
