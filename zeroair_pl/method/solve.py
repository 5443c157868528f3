"""Restores photos of one size in one fit; a large photo by the way of ``large``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zeroair_pl.degradations.base import Side
from zeroair_pl.errors import InputError
from zeroair_pl.method.fit import fit
from zeroair_pl.method.large import fit_large, is_large
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.photos.photo import MAX_PIXELS
from zeroair_pl.tensors.memory import free_memory
from zeroair_pl.tensors.modes import own_modes

if TYPE_CHECKING:
    from lightning.pytorch import Callback

BYTES = 250  # of memory for each pixel of an enlarged photo


@own_modes()
def solve(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback] = (),
    trainer: dict[str, Any] | None = None,
    sides: Sequence[Side] | None = None,
) -> Result:
    """Restores B photos of one size; arguments and errors are those of ``fit``.

    ``jobs.batches`` says which photos may share a fit. B is 1 for a large photo, and for others on a CPU.
    """
    check_enlarged(y, names[0], method)
    return (fit_large if is_large(y, method) else fit)(y, names, method, callbacks, trainer, sides)


def check_enlarged(y: Tensor, name: str, method: Method) -> None:
    """Checks the size of the restored photos of ``y`` (B, 3, H, W) before any work is done.

    Raises:
        InputError: a restored photo would have more pixels than the limit, or need more memory than is free.
    """
    if (factor := method.prototype().factor) == 1:
        return
    height, width = (round(factor * side) for side in y.shape[-2:])
    what = f"{name}: {factor:g} times as large it has {width}x{height} px"
    if height * width > MAX_PIXELS:
        raise InputError(f"{what}, {height * width / 1e6:.0f} megapixels; the limit is {MAX_PIXELS / 1e6:.0f}.")
    needed, free = BYTES * height * width, free_memory()
    if needed > free:
        raise InputError(
            f"{what}, for which {needed / 2**30:.1f} GiB of memory are needed; {free / 2**30:.1f} are free."
        )
