"""Recognizes errors of too little memory, and returns memory to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
from pathlib import Path

import torch

# In the messages of allocators that raise a plain RuntimeError: the CPU's, Apple's and those of CUDA's libraries.
_PHRASES = ("DefaultCPUAllocator", "out of memory", "not enough memory", "CUDNN_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def free_memory() -> float:
    """Bytes of free memory of this machine; infinite if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration, ValueError):
        return math.inf


def release() -> None:
    """Frees unused memory. Call it when no reference to an error is left, since its frames hold tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def trim() -> None:
    """Returns free memory to the system. By itself, glibc keeps free pieces between used ones."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
