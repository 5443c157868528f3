"""The contract of a degradation family: a small differentiable model of what happened to one photo.

    y = φ(x) + n,    n ~ N(0, σ²)

φ is the family's ``forward``; σ, the standard deviation of the noise, is learned beside it by every family.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import estimate_noise_level


class Degradation(nn.Module):
    """What happened to one photo. A new family is one file with one subclass of this.

    A subclass implements ``forward`` and, where it can look at the photo first, ``initialise``. Parameters whose shape
    depends on the photo are created in ``initialise``, which runs once, before any optimiser exists. All images are
    (1, 3, H, W) in [0, 1]; ``forward`` must be differentiable in x and in the parameters.

    Attributes:
        pointwise: every output value depends on the input value of the same pixel and channel alone, so that the
            Jacobian of φ is diagonal and data consistency has a closed form. A contract test holds it to that.
    """

    pointwise: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.log_noise = nn.Parameter(torch.tensor(math.log(0.02)))

    def initialise(self, y: Tensor) -> None:
        """Sets the parameters from the degraded photo ``y`` (1, 3, H, W); here: the noise level alone."""
        self.log_noise.data.fill_(math.log(max(estimate_noise_level(y), MIN_NOISE)))

    def forward(self, x: Tensor) -> Tensor:
        """φ(x): the noise-free degraded image of the clean image ``x`` (1, 3, H, W)."""
        raise NotImplementedError

    def regularisation(self) -> Tensor:
        """A scalar energy on the parameters, of a size comparable to a mean squared error; zero by default."""
        return self.log_noise.new_zeros(())

    def maps(self) -> dict[str, Tensor]:
        """What a person would look at, by name: (1, C, H, W) images in [0, 1], or (1, C, 1, 1) numbers."""
        return {}

    def noise_level(self) -> Tensor:
        """σ, the learned standard deviation of the noise on y, a scalar in units of the [0, 1] range."""
        return self.log_noise.exp().clamp(MIN_NOISE, MAX_NOISE)

    def first_estimate(self, y: Tensor) -> Tensor:
        """A first clean image (1, 3, H, W) in [0, 1] from the initial parameters, where sampling may start; here y."""
        return y


MIN_NOISE = 1.0 / 255 / 12**0.5  # the rounding error of 8 bits: no photo is known better than that
MAX_NOISE = 0.5


def smooth_grid(y: Tensor, cells: int = 8) -> nn.Parameter:
    """A zero (1, 1, h, w) parameter whose long side has ``cells`` values: a smooth correction for a map over ``y``.

    The number of cells does not depend on the image size, so a setting means the same on a thumbnail and a photo.
    """
    height, width = y.shape[-2:]
    longest = max(height, width)
    return nn.Parameter(y.new_zeros(1, 1, max(2, round(cells * height / longest)), max(2, round(cells * width / longest))))


def upsample(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic upsampling of a (1, C, h, w) grid to ``size``: smooth, so that a correction never draws an edge."""
    return torch.nn.functional.interpolate(grid, size=size, mode="bicubic", align_corners=True)
