"""Makes results independent of the number of threads, for photos for which this costs no time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PIXELS = 2**17  # of a photo whose small operations are as fast in one thread


class _Outside:
    """The number of threads outside of ``one_thread``, which torch keeps for the process; fits may overlap."""

    lock = threading.Lock()
    fits = 0
    threads = 0


@contextmanager
def one_thread(pixels: int) -> Iterator[None]:
    """Within it, operations use one thread of the CPU, if the photo has at most ``PIXELS`` pixels.

    The rounding of a sum depends on how threads split it, and a fit magnifies the difference. The operations of TDM and
    TDG on a small photo take a fraction of a millisecond, too short for a second thread. The prior's convolutions split
    no sum, so they use all threads, see ``all_threads``.
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
    """Within it, as many threads are used as outside of ``one_thread``; for the prior."""
    if not _Outside.fits or torch.get_num_threads() == _Outside.threads:
        yield
        return
    torch.set_num_threads(_Outside.threads)
    try:
        yield
    finally:
        torch.set_num_threads(1)
