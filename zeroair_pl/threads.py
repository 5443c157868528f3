"""Results that do not depend on the number of threads, where that costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

PIXELS = 2**17  # of a photo, up to which its small operations are no slower in one thread

_all: list[int] = []  # the number of threads outside of ``one_thread``, once for each that is open


@contextmanager
def one_thread(pixels: int) -> Iterator[None]:
    """Within it, operations on photos of so many pixels take one thread of the CPU, if that is few enough.

    A sum over an image that is split among threads rounds as they split it, and a fit magnifies that. The operations
    of TDM and TDG on a small photo take a fraction of a millisecond, in which a second thread is hardly woken. The
    prior's convolutions split no sum, and have all threads: see ``all_threads``.
    """
    if pixels > PIXELS:
        yield
        return
    _all.append(torch.get_num_threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(_all.pop())


@contextmanager
def all_threads() -> Iterator[None]:
    """Within it, as many threads as outside of ``one_thread``: for the prior."""
    if not _all or torch.get_num_threads() == _all[-1]:
        yield
        return
    torch.set_num_threads(_all[-1])
    try:
        yield
    finally:
        torch.set_num_threads(1)
