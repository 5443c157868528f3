"""A network through ``torch.compile``, where that is possible."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch


class Compiled:
    """Calls ``network`` compiled; as it is from the first failure on, after a warning that gives the reason.

    Compiling needs a C++ compiler for a CPU and Triton for a GPU, and the first call finds out. It is for any size:
    left to itself, torch would compile for the first size and again for all others, and the rounding of an image's
    result would depend on the images before it. Square images may still be compiled by themselves.
    """

    def __init__(self, network: Callable[..., Any]) -> None:
        self.network = network
        self._compiled: Callable[..., Any] | None = torch.compile(network, dynamic=True)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is not None:
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", module=r"torch\._(dynamo|inductor)\..*")  # notes on others' code
                    return self._compiled(*args)
            except Exception as error:  # of the compiler, of its search, of Triton; the network's own would come again
                self._compiled = None
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                warnings.warn(f"prior.compile: going on without torch.compile, which failed: {reason}", stacklevel=2)
        return self.network(*args)
