"""Running out of memory, on a device or on the CPU, and giving memory back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
from pathlib import Path

import torch

# Where an allocator raises a plain RuntimeError: that of the CPU, of Apple's devices, and of libraries of CUDA.
_PHRASES = ("DefaultCPUAllocator", "out of memory", "not enough memory", "CUDNN_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that something was too large for the memory that is left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def free_memory() -> float:
    """Bytes of this machine's memory that a program may still take; infinite where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration, ValueError):
        return math.inf


def release() -> None:
    """Frees memory that is not used any more. Call it after the error is gone: its frames hold tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def trim() -> None:
    """Returns memory that is free to the system. By itself, glibc keeps it in pieces between those that are used."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
