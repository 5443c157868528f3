"""The modes of torch in which this package computes; the caller's are restored afterwards."""

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
    """Within it, this thread has gradients, no inference mode and no autocast; new tensors are float32 on the CPU.

    Afterwards the caller's modes are restored, and so are random states (of torch, NumPy and Python) and filters of
    warnings, which Lightning changes.
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
    """Sets float32 for new tensors. When the last of overlapping calls ends, that and the filters of warnings are
    restored; libraries add filters when they are imported."""
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
    """Within it, a process that was forked after torch had computed uses one thread. A fork copies no other threads,
    and OpenMP would wait for them."""
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
