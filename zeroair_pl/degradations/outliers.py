"""Finds the pixels of a photo that were replaced by other values, without a mask, by expectation maximization."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroair_pl.tensors.medians import median_of

FREEDOM = 4.0  # degrees of freedom of the errors' t-distribution; with a Gaussian, edges would count as outliers
FLOOR = (2 / 255) ** 2  # smallest variance of a prediction
FIRST_SPREAD = (6 / 255) ** 2  # added to the variance of the first prediction, a median, which has no texture
BAND = 32  # rows that are computed at once
ATOM = 8.0  # number of outliers of one color above which this is a typical color of outliers


class Outliers(nn.Module):
    """A mixture model: each pixel shows the scene with probability w, or has a color that replaced it.

    The color of a pixel that shows the scene has a t-density around its prediction x0, with a local scale. The color
    of a replaced pixel has a uniform density, which is raised at the typical colors of outliers, such as black and
    white: colors of which most pixels are outliers. The prior share of replaced pixels is that of the whole photo, or
    that of the pixel's row or column if most of it is replaced (a dead line).

    Args:
        y: the photo, (1, 3, H, W) in [0, 1].

    Attributes:
        seen: w, (1, 1, H, W) in [0, 1].
        filled: (1, 3, H, W), the photo with the median of the 24 pixels around in the place of replaced pixels.
    """

    y: Tensor
    color: Tensor
    count: Tensor
    filled: Tensor
    share: Tensor
    density: Tensor
    seen: Tensor

    def __init__(self, y: Tensor) -> None:
        super().__init__()
        red, green, blue = (y[0] * 255).round().int()
        codes = (red * 256 + green) * 256 + blue
        _, color = codes.flatten().unique(return_inverse=True)
        median, spread = _around(y)
        empty = torch.zeros_like(y[:, :1])
        buffers = {"y": y, "color": color.int(), "count": torch.bincount(color).float(),
                   "share": empty + 0.05, "density": empty, "seen": empty.clone()}  # fmt: skip
        for name, value in buffers.items():  # ``density`` is a logarithm
            self.register_buffer(name, value)
        del color
        distance, variance = _distance(y, median), (spread.square_().add_(FIRST_SPREAD)).mean(1, keepdim=True)
        del spread
        for _ in range(2):
            self._expect(distance, variance)
            self._maximize()
        self.register_buffer("filled", torch.lerp(median, y, self.seen))

    def update(self, x0: Tensor) -> None:
        """One step of expectation maximization, with the clean estimate ``x0`` (1, 3, H, W) as the prediction."""
        distance = _distance(self.y, x0)
        missed = _mean_around(self.seen * distance / 3)
        self._expect(distance, missed.add_(FLOOR).div_(_mean_around(self.seen).add_(0.02)))
        self._maximize()

    def _expect(self, distance: Tensor, variance: Tensor) -> None:
        """Sets ``seen`` for the squared ``distance`` from the prediction and its ``variance``, (1, 1, H, W) both."""
        scale = math.lgamma((FREEDOM + 3) / 2) - math.lgamma(FREEDOM / 2) - 1.5 * math.log(FREEDOM * math.pi)
        each = (self.seen, distance, variance, self.density, self.share)
        for seen, far, v, density, share in zip(*(values.split(BAND, -2) for values in each), strict=True):
            tail = (FREEDOM + 3) / 2 * torch.log1p(far / (FREEDOM * v))
            near = scale - 1.5 * v.log() - tail
            seen.copy_(torch.sigmoid(near - density + torch.log1p(-share) - share.log()))

    def _maximize(self) -> None:
        replaced = 1 - self.seen
        lines = [replaced.mean(axis, keepdim=True) for axis in (2, 3)]
        down, across = (line * (line > 0.5) for line in lines)
        self.share = torch.maximum(torch.maximum(down, across), replaced.mean()).clamp(1e-4, 0.95)
        mass = torch.zeros_like(self.count).index_add_(0, self.color, replaced.flatten())
        atom = (mass > ATOM) & (mass > 0.5 * self.count)
        density = torch.where(atom, mass / (mass.sum() + 1) * 256.0**3, 1.0).clamp(min=1)
        self.density = density[self.color].view_as(self.density).log()


def _around(y: Tensor) -> tuple[Tensor, Tensor]:
    """Median of the 24 pixels around each pixel, and 1.48 times the median absolute deviation from it."""
    padded = F.pad(y, [2] * 4, mode="reflect")
    median, spread = torch.empty_like(y), torch.empty_like(y)
    for top in range(0, y.shape[-2], BAND):  # few rows at once stay in the processor's cache
        height, width = min(BAND, y.shape[-2] - top), y.shape[-1]
        places = [(down, right) for down in range(5) for right in range(5) if (down, right) != (2, 2)]
        around = [padded[..., top + down : top + down + height, right : right + width] for down, right in places]
        here = median_of(around)
        median[..., top : top + BAND, :] = here
        spread[..., top : top + BAND, :] = 1.48 * median_of([(each - here).abs() for each in around])
    return median, spread


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """The squared distance of two images (1, 3, H, W) at each pixel, (1, 1, H, W)."""
    pairs = zip(one.split(BAND, -2), other.split(BAND, -2), strict=True)
    return torch.cat([(a - b).square().sum(1, keepdim=True) for a, b in pairs], -2)


def _mean_around(values: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(values, [3] * 4, mode="reflect"), 7, stride=1)
