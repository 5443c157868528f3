"""A network with ``torch.compile``, where it is available."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch


class Compiled:
    """Calls ``network`` compiled. After a failure, it warns with the reason and calls the network without compiling.

    Compiling needs a C++ compiler for a CPU and Triton for a GPU; the first call shows whether they are there. The
    network is compiled for any image size. By default, torch would compile for the first size and later again for
    others, and the rounding of a result would depend on the images before it. Square images may still be compiled
    separately.
    """

    def __init__(self, network: Callable[..., Any]) -> None:
        self.network = network
        self._compiled: Callable[..., Any] | None = torch.compile(network, dynamic=True)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is not None:
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", module=r"torch\._(dynamo|inductor)\..*")  # about torch's own code
                    return self._compiled(*args)
            except Exception as error:  # of the compiler or Triton; an error of the network itself occurs again below
                self._compiled = None
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                warnings.warn(f"prior.compile: continuing without torch.compile, which failed: {reason}", stacklevel=2)
        return self.network(*args)
