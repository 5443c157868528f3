"""Restores photos: one by one, or several in one fit on devices where this saves time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Side
from zeroair_pl.errors import DivergenceError, InputError
from zeroair_pl.method.fit import fit
from zeroair_pl.method.large import fit_large, is_large
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.photos.photo import MAX_PIXELS
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.tensors.memory import free_memory
from zeroair_pl.tensors.modes import own_modes
from zeroair_pl.tensors.trainer import device_of

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

    On a CPU, photos are computed one by one, so that a photo has the same result, to the bit, in any batch. Large
    photos are computed one by one on all devices. Other photos are computed together on a GPU, where results may differ
    by rounding.
    """
    check_enlarged(y, names[0], method)
    large = is_large(y, method)
    one = fit_large if large else fit
    batched = method.prior.adapt is None and method.prototype().batched  # an adapted prior is that of one photo
    if len(names) == 1 or (batched and not large and device_of(trainer).type != "cpu"):
        return one(y, names, method, callbacks, trainer, sides)
    if callbacks:
        raise ValueError(f"callbacks watch one fit, but {len(names)} photos are computed one by one; give one photo")
    began, results = time.perf_counter(), list[Result]()
    diverged: dict[int, str] = {}
    for i, name in enumerate(names):
        photo = y[i : i + 1]
        try:
            results.append(one(photo, [name], method, callbacks, trainer, sides and [sides[i]]))
        except DivergenceError as error:
            diverged[i] = str(error)
            results.append(Result(photo, [{}], torch.full((1,), torch.nan), [0], 0.0, [Degradation()]))
    if len(diverged) == len(names):
        raise DivergenceError(diverged[0], diverged)
    size = next(each.restored for k, each in enumerate(results) if k not in diverged).shape[-2:]
    for i in diverged:
        results[i].restored = as_large_as(results[i].restored, (size[0], size[1]))
    return Result(
        torch.cat([each.restored for each in results]),
        [each.diagnostics[0] for each in results],
        torch.cat([each.noise_level for each in results]),
        [each.nfe[0] for each in results],
        time.perf_counter() - began,
        [each.phi[0] for each in results],
        diverged,
    )


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
