"""The modes of torch in which this package computes. Those of the caller are set again afterwards."""

from __future__ import annotations

import os
import random
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch


class _Process:
    """The state that torch keeps for the process; calls may overlap in several threads."""

    lock = threading.RLock()
    calls = 0
    dtype = torch.float32
    filters: Sequence[Any] = ()
    pid = 0  # in which torch's threads may have been started


@contextmanager
def own_modes() -> Iterator[None]:
    """Within it: gradients, no inference mode and no autocast in this thread, new tensors of float32 on the CPU.

    Afterwards all is as it was; so are random states (torch's, NumPy's, Python's), filters of warnings, and the mode
    of gradients, which Lightning leaves as it needs it.
    """
    with ExitStack() as stack:
        stack.enter_context(_random_states())
        stack.enter_context(_of_the_process())
        stack.enter_context(_threads_after_a_fork())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def _random_states() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - to leave it alone
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _of_the_process() -> Iterator[None]:
    """New tensors of float32, and filters of warnings: the first call that begins sets them, the last that ends sets
    them back. Libraries add filters when they are imported."""
    with _Process.lock:
        if not _Process.calls:
            _Process.dtype, _Process.filters = torch.get_default_dtype(), list(warnings.filters)
            torch.set_default_dtype(torch.float32)
        _Process.calls += 1
    try:
        yield
    finally:
        with _Process.lock:
            _Process.calls -= 1
            if not _Process.calls:
                torch.set_default_dtype(_Process.dtype)
                for each in [each for each in warnings.filters if each not in _Process.filters]:
                    warnings.filters.remove(each)  # type: ignore[attr-defined]  # a list


@contextmanager
def _threads_after_a_fork() -> Iterator[None]:
    """One thread in a process that was forked from one in which torch has computed: of the other threads, which OpenMP
    would wait for, there is no copy."""
    forked = _Process.pid not in (0, os.getpid())
    if not forked:
        _Process.pid = os.getpid()
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
