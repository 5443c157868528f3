"""A photo that was made smaller: the means of squares of pixels are known, and the pixels are not."""

from __future__ import annotations

from typing import Annotated, Any

import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise
from zeroair_pl.degradations.noise_level import look_at_noise, rounding
from zeroair_pl.ranges import Range

FIRST, LAST = 0.14, 0.02  # noise levels


class Downscaled(Degradation):
    """y = means of f×f pixels of x, + n. The restored photo is f times as wide and as high.

    A Aᵀ = I/f² for the means A, so the proximal step is closed: x0 + f²Aᵀ(y − A x0)·v/(σ² + v), v = e²/f².

    Args:
        factor: f, a whole number from 2 to 8.
    """

    def __init__(self, factor: Annotated[int, Range(2, 8)] = 2) -> None:
        super().__init__()
        self.factor = factor

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.noise.start(look_at_noise(y, denoise), rounding(y))

    def shape(self, y: Tensor) -> tuple[int, int]:
        return self.factor * y.shape[-2], self.factor * y.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.factor)

    def invert(self, y: Tensor) -> Tensor:
        return F.interpolate(y, scale_factor=self.factor, mode="bicubic", align_corners=False)

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        v = error.square().view(1, 1, 1, 1) / self.factor**2
        move = (y - self(x0)) * (v / (v + self.noise_level().square()))
        return x0 + F.interpolate(move, scale_factor=self.factor)

    def levels(self) -> tuple[float, float] | None:
        return FIRST * (self.factor / 2) ** 0.5, LAST

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return z

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return []  # the factor is known, and noise is seen better before
