"""The contract of a degradation family: a small differentiable model of what happened to one photo.

    y = φ(x) + n,    n ~ N(0, σ²)

φ is the family's ``forward``; σ, the standard deviation of the noise, is learned beside it by every family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import LOOK, estimate_noise_level, matched_noise_level


class Observation(NamedTuple):
    """A photo seen through φ⁻¹: a clean image with known white noise on it, (B, 3, H, W) each in units of [0, 1].

    Attributes:
        image: φ⁻¹(y).
        sigma: the standard deviation of the noise on it, σ/|∂φ/∂x|; infinite where the photo says nothing.
    """

    image: Tensor
    sigma: Tensor


class Degradation(nn.Module):
    """What happened to one photo. A new family is one file with one subclass of this.

    A subclass implements ``forward`` and, where it can look at the photo first, ``initialize``. Parameters whose shape
    depends on the photo are created in ``initialize``, which runs once, before any optimizer exists. All images are
    (1, 3, H, W) in [0, 1]; ``forward`` must be differentiable in x and in the parameters.

    Attributes:
        pointwise: every output value depends on the input value of the same pixel and channel alone, so that the
            Jacobian of φ is diagonal and data consistency has a closed form. A contract test holds it to that.
        reason: why it was taken, in words; ``Auto`` says so, others are asked for by name.
        amount: a scalar, the share of the family's correction in its start and in what is learned: 1, or what ``Auto``
            has set before ``initialize``. Near 0, φ is nearly the identity.
    """

    pointwise: bool = False
    reason: str = ""
    log_noise_start: Tensor
    amount: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_noise = nn.Parameter(torch.tensor(math.log(0.02)))
        self.register_buffer("log_noise_start", self.log_noise.detach().clone())
        self.register_buffer("amount", torch.ones(()))

    def initialize(self, y: Tensor) -> None:
        """Sets the parameters from the degraded photo ``y`` (1, 3, H, W); here: the noise level alone."""
        self.log_noise.data.fill_(math.log(min(max(estimate_noise_level(y), MIN_NOISE), MAX_NOISE)))
        self.log_noise_start.copy_(self.log_noise.detach())

    def look(self, y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> None:
        """Once after ``initialize``: corrects the start with the prior's help; here nothing.

        Args:
            y: the photo, or a few parts of a large one, (N, 3, h, w) in [0, 1].
            denoise: ``denoise(y, level)`` is the prior's E[x given x + n] under white noise of that standard deviation
                (units of [0, 1]); each call costs one pass of the prior.
        """

    def look_for_noise(self, y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> None:
        """A ``look`` for the noise level, by ``matched_noise_level``, where the photo has about a clean one's contrast.

        In haze and in the dark, texture is as faint as noise, and the flattest parts of the photo tell more.
        """
        level = max(float(self.noise_level().detach()), LOOK)
        found = matched_noise_level(y - denoise(y, level))
        self.log_noise.data.fill_(math.log(min(max(found, MIN_NOISE), MAX_NOISE)))
        self.log_noise_start.copy_(self.log_noise.detach())

    def forward(self, x: Tensor) -> Tensor:
        """φ(x): the noise-free degraded image of the clean image ``x`` (1, 3, H, W)."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """A scalar energy on the parameters, in nats per element; here it holds the noise level near its start.

        The start sees no texture as noise, but knows no image; the residual of the clean estimate knows the image, but
        takes what the prior cannot explain for noise, and correlated noise for image. Each corrects the other.
        """
        return HOLD * (self.log_noise - self.log_noise_start).square()

    @classmethod
    def severity(cls, y: Tensor) -> float:
        """How much of this the photo ``y`` (1, 3, H, W) shows: 0 is nothing, 1 all that the family's start corrects.

        Continuous in y; above 1 it is only surer. ``Auto`` asks every family that it may choose, and has the one that
        it takes correct that share (``amount``). 0, as here, takes no part.
        """
        return 0.0

    @property
    def kind(self) -> str:
        """What the table of results says happened to the photo: the name of the family."""
        return type(self).__name__

    def diagnostics(self) -> dict[str, Tensor]:
        """What a person would look at, by name: (1, C, H, W) images in [0, 1], or (1, C, 1, 1) numbers."""
        return {}

    def noise_level(self) -> Tensor:
        """σ, the learned standard deviation of the noise on y, a scalar in units of the [0, 1] range."""
        return self.log_noise.exp().clamp(MIN_NOISE, MAX_NOISE)

    def invert(self, y: Tensor) -> Tensor:
        """φ⁻¹(y) under the present parameters, not clamped above, for one or several images (N, 3, H, W) in the place
        of the photo.

        Exact for a pointwise family (a contract test holds it to that), a first guess for any other; here y itself.
        """
        return y

    def seen_through(self, y: Tensor) -> dict[str, Tensor]:
        """The photo without its degradation, but with its noise: ``image`` is φ⁻¹(y), ``noise`` the standard deviation
        of the noise on it, half of φ⁻¹(y + σ) − φ⁻¹(y − σ); (1, 3, H, W) each.

        A secant over ±σ is finite where a tone curve has no slope.
        """
        sigma = self.noise_level()
        if y.numel() > LARGE:  # one after the other, in less memory
            noise = (self.invert(y + sigma) - self.invert(y - sigma)) / 2
            image = self.invert(y)
        else:  # at once: what belongs to φ, a map perhaps, is computed once
            image, above, below = self.invert(torch.cat([y, y + sigma, y - sigma])).split(len(y))
            noise = (above - below) / 2
        return {"image": image.clamp(-0.5, 1.5), "noise": noise.clamp(min=1e-4)}

    def first_estimate(self, y: Tensor) -> Tensor:
        """A first clean image (1, 3, H, W) in [0, 1], where sampling may start."""
        return self.invert(y).clamp(0, 1)


MIN_NOISE = 1.0 / 255 / 12**0.5  # the rounding error of 8 bits: no photo is known better than that
MAX_NOISE = 0.5
LARGE = 2**23  # values of a photo that is not held several times over
HOLD = 10.0  # weight of the noise level's start, in nats per element
SLOW = 0.1  # maps move this much slower than the noise level at one learning rate: their starts are better known


def smooth_grid(y: Tensor, cells: int = 8) -> nn.Parameter:
    """A zero (1, 1, h, w) parameter with ``cells`` values on the long side: a smooth correction to a log-map of ``y``.

    It is in units of ``SLOW``. The number of cells does not depend on the image size, so a setting means the same on a
    thumbnail and on a photo.
    """
    height, width = y.shape[-2:]
    h, w = (max(2, round(cells * side / max(height, width))) for side in (height, width))
    return nn.Parameter(y.new_zeros(1, 1, h, w))


def correct(log_map: Tensor, grid: Tensor) -> Tensor:
    """exp(log_map + SLOW · grid), the grid upsampled smoothly (bicubic), so that a correction never draws an edge."""
    size = (log_map.shape[-2], log_map.shape[-1])
    return (log_map + SLOW * upsample(grid, size)).exp()


def upsample(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """A smooth (bicubic) map of ``size`` from a grid (…, h, w), whose corners are those of the map.

    As a product with one matrix for the rows and one for the columns, R·grid·Cᵀ: an interpolation is linear, and this
    takes a tenth of the time of ``interpolate``, there and back.
    """
    rows, columns = (_bicubic(n, length, grid.device) for n, length in zip(grid.shape[-2:], size, strict=True))
    return rows.to(grid) @ grid @ columns.to(grid).T


@lru_cache(maxsize=64)
def _bicubic(cells: int, length: int, device: torch.device) -> Tensor:
    """(length, cells): what each of ``cells`` values in a row adds to each of ``length``."""
    unit = torch.eye(cells, device=device)[None, None]
    return torch.nn.functional.interpolate(unit, size=(length, cells), mode="bicubic", align_corners=True)[0, 0]


def thumbnail(y: Tensor, pixels: int = 256 * 256) -> Tensor:
    """``y`` (1, 3, H, W) in [0, 1], shrunk if it has more than ``pixels``: statistics mean the same at any size."""
    height, width = y.shape[-2:]
    scale = (pixels / (height * width)) ** 0.5
    if scale >= 1:
        return y.clamp(0, 1)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return torch.nn.functional.interpolate(y.clamp(0, 1), size=size, mode="area")


def quantiles(y: Tensor, q: float) -> Tensor:
    """The quantile of each channel of (1, C, H, W) or (1, H, W), as (C,) or (1,); of a regular sample of large ones."""
    values = y.flatten(-2)
    # torch.quantile takes at most 16 million values, and a regular sample of a photo is as good
    return values[..., :: max(1, values.shape[-1] // 200_000)].quantile(q, dim=-1).flatten()


def refine(rough: Tensor, y: Tensor, radius: int, eps: float, samples: int = 24) -> Tensor:
    """Guided filter of a (1, 1, H, W) map along the edges of y's brightness (He, Sun & Tang, ECCV 2010).

    For large radii its linear coefficients, which are smooth, are computed on a subsampled grid (fast guided filter, He
    & Sun, 2015): the cost does not grow with the radius. A window has at least ``samples`` of them along a side.
    """
    from kornia.filters import guided_blur

    size = 2 * min(radius, (min(y.shape[-2:]) - 1) // 2) + 1
    guide = y.mean(dim=1, keepdim=True)
    return guided_blur(guide, rough, size, eps, subsample=max(1, size // samples), separable=True)
