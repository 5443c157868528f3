"""A photo that was made smaller: each of its pixels is the mean of a square of pixels of the restored photo."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise
from zeroair_pl.degradations.chain import Chain
from zeroair_pl.degradations.noise_level import look_at_noise, rounding
from zeroair_pl.ranges import Range

FIRST, LAST = 0.14, 0.02  # noise levels
MOST = 8


class Downscaled(Degradation):
    """y = A x + n, where A makes a photo smaller. The restored photo is f times as wide and as high.

    By default A takes means of f×f pixels.
    For a whole number f, A Aᵀ = I/f², and the proximal step has a closed form: x0 + f²Aᵀ(y − A x0)·v/(σ² + v) with
    v = e²/f². For any other f, the means weight the pixels of x at the edges of a square by the covered area, and
    conjugate gradients find the step.

    Args:
        factor: f, from 1 to 8.
        kernel: of the reduction: ``area``, or ``bicubic`` as in most programs, whose step takes conjugate gradients.
    """

    def __init__(
        self, factor: Annotated[float, Range(1, MOST)] = 2, kernel: Literal["area", "bicubic"] = "area"
    ) -> None:
        super().__init__()
        self.factor, self.kernel = factor, kernel

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.noise.start(look_at_noise(y, denoise), rounding(y))

    def shape(self, y: Tensor) -> tuple[int, int]:
        return round(self.factor * y.shape[-2]), round(self.factor * y.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel == "bicubic":
            size = (round(x.shape[-2] / self.factor), round(x.shape[-1] / self.factor))
            return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)
        if self._whole:
            return F.avg_pool2d(x, int(self.factor))
        return _means(_means(x, self.factor, -2), self.factor, -1)

    def invert(self, y: Tensor) -> Tensor:
        return F.interpolate(y, size=self.shape(y), mode="bicubic", align_corners=False)

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        if not self._whole or self.kernel != "area":
            return super().proximal(x0, y, error)
        v = error.square().view(1, 1, 1, 1) / self.factor**2
        move = (y - self(x0)) * (v / (v + self.noise_level().square()))
        return x0 + F.interpolate(move, scale_factor=self.factor)

    def passed(self, x: Tensor, error: Tensor) -> Tensor:
        return error / self.factor

    def levels(self) -> tuple[float, float] | None:
        return FIRST * (self.factor / 2) ** 0.5, LAST

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return z

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return []  # the factor is known, and the first estimate of the noise is the best one

    @property
    def _whole(self) -> bool:
        return self.factor == int(self.factor)


def enlarging(degradation: Callable[[], Degradation], factor: float) -> Callable[[], Degradation]:
    """A function that makes a chain of ``Downscaled(factor)`` and ``degradation``.

    If ``degradation`` makes a ``Downscaled``, or a chain that begins with one, ``Downscaled(factor)`` replaces that.
    """

    def made() -> Degradation:
        phi = degradation()
        if isinstance(phi, Downscaled):
            return Downscaled(factor, phi.kernel)
        smaller = Downscaled(factor)
        if isinstance(phi, Chain) and isinstance(phi.links[0], Downscaled):  # the kind of an enlarged photo in a table
            others = cast("list[Degradation]", list(phi.links)[1:])
            return Chain([partial(_itself, link) for link in (smaller, *others)])
        return Chain([lambda: smaller, lambda: phi])

    return degradation if factor == 1 else made


def _itself(link: Degradation) -> Degradation:
    return link


def _means(x: Tensor, factor: float, axis: int) -> Tensor:
    """Means over pieces of ``factor`` pixels along the axis ``axis`` < 0; a fractional factor splits pixels."""
    length = round(x.shape[axis] / factor)
    factor = x.shape[axis] / length  # the nearest factor that fits the length
    starts = torch.arange(length, dtype=torch.float64) * factor
    first, out = starts.floor(), None
    for step in range(math.ceil(factor) + 1):
        pixel = first + step
        share = (torch.minimum(pixel + 1, starts + factor) - torch.maximum(pixel, starts)).clamp(min=0) / factor
        place = pixel.long().clamp(max=x.shape[axis] - 1).to(x.device)
        part = x.index_select(axis, place) * share.to(x).view([-1] + [1] * (-1 - axis))
        out = part if out is None else out + part
    assert out is not None
    return out
