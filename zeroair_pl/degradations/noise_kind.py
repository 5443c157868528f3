"""What kind of noise a photo has: how strong, how much the same in all channels, and how it grows with the light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Denoise
from zeroair_pl.degradations.noise_level import (
    EIGHT_BITS,
    LOOK,
    estimate_noise_level,
    matched_noise_level,
    parts,
    rounding,
    signs,
    step,
)
from zeroair_pl.degradations.noise_models import STEEPEST, even, even_level

TILE = 16  # details of 2×2 pixels on a side
BINS = 12  # of brightness
WORTH = 0.03  # mean gain in log-variance, up to which a slope is not believed
FAINT = 0.05  # what is common to the channels up to this is not looked at again
GRAY = 1e-4  # by which channels may differ


@dataclass(frozen=True)
class NoiseKind:
    """What ``CameraNoise`` starts from: σ, the correlation between the channels, and the slope of the variance."""

    level: float
    common: float = 0.0
    slope: float = 0.0


def kind_of_noise(y: Tensor, denoise: Denoise) -> NoiseKind:
    """The noise of a photo (1, 3, H, W) that has about a clean one's contrast.

    As ``look_at_noise``, and where the first look shows noise that is the same in all channels (a gray photo, or noise
    of brightness), or that is stronger where it is bright, a second one that allows for it. Both are told from
    texture and from what a camera's processing leaves by the fourth moment of the residual and its correlation between
    neighbors, see ``matched_noise_level``.
    """
    flat = max(estimate_noise_level(y), rounding(y))
    if flat < EIGHT_BITS:
        return NoiseKind(flat)
    seen, gray = parts(y), is_gray(y)
    told = max(flat * (3**0.5 if gray else 1.0), LOOK)
    clean = denoise(seen, told)
    residual = seen - clean
    first = NoiseKind(matched_noise_level(residual))
    strength, moment, neighbors = signs(residual)
    white = step((0.15 - neighbors) / 0.03)
    if gray:
        return NoiseKind(first.level, white * step((3.45 - moment) / 0.05))
    # Common noise that is told too little is left in part, the fine more than the coarse; texture the other way around.
    found = step((-0.03 - neighbors) / 0.008) * _ramp(_share_in_common(residual), 0.6, 0.75)
    if found > FAINT and (found := found * channel_correlation(y)) > FAINT:
        again = seen - denoise(seen, max(flat * (1 + 2 * found) ** 0.5, LOOK))
        return NoiseKind(matched_noise_level(again), found * step((3.45 - signs(again)[1]) / 0.05))
    slope = white * variance_slope(residual, clean, seen)
    if slope == 0:
        return first
    seen = even(seen, slope)
    residual = seen - denoise(seen, max(even_level(1.1 * strength, slope), LOOK))
    share = step((3.3 - signs(residual)[1]) / 0.03)  # in a tone in which it is the same everywhere, noise looks like it
    own = matched_noise_level(residual) / even_level(1.0, slope)
    return NoiseKind(max(first.level, 1e-6) ** (1 - share) * max(own, 1e-6) ** share, slope=share * slope)


def is_gray(y: Tensor) -> bool:
    """Whether all channels of ``y`` (1, 3, H, W) are the same."""
    return float((y.amax(1) - y.amin(1)).max()) < GRAY


def channel_correlation(y: Tensor) -> float:
    """Correlation, 0 to 1, between the channels of the noise on ``y`` (1, 3, H, W), in the quarter of its tiles where
    the diagonal detail is weakest."""
    rows, columns = y.shape[-2] // 2, y.shape[-1] // 2
    corners = F.pixel_unshuffle(y[..., : 2 * rows, : 2 * columns], 2).view(3, 4, rows, columns)
    detail = (corners * y.new_tensor([1, -1, -1, 1])[:, None, None] / 2).sum(1, keepdim=True)
    side = min(TILE, rows, columns)
    tiles = F.unfold(detail, side, stride=side)  # (3, side², L)
    power = tiles.square().mean((0, 1))
    tiles = tiles[..., power <= power.quantile(0.25)]
    return max(0.0, (3 * _share_in_common(tiles[None]) - 1) / 2)


def variance_slope(residual: Tensor, clean: Tensor, seen: Tensor) -> float:
    """The slope s of the line σ²·(1 + s·(x − ½)) that the variance of the residual follows, 0 to ``STEEPEST``.

    By least absolute deviations of the logarithm, over medians in bins of equal count of the clean estimate: what is
    left of texture is strong in places. Saturated values tell nothing.
    """
    usable = (seen > 2 / 255) & (seen < 253 / 255)
    light, square = clean[usable].clamp(0, 1), residual[usable].square()
    if len(light) < 50 * BINS:
        return 0.0
    order = light.argsort()
    means = torch.stack([each.mean() for each in light[order].tensor_split(BINS)])
    variance = torch.stack([each.median() for each in square[order].tensor_split(BINS)]).clamp(min=1e-12).log()
    slopes = torch.linspace(0, STEEPEST, 40)
    misfit = variance - (1 + slopes[:, None] * (means - 0.5)).log()
    misfit = (misfit - misfit.median(1, keepdim=True).values).abs().mean(1)
    best = int(misfit.argmin())
    worth = float(misfit[0] - misfit[best])
    return float(slopes[best]) * _ramp(worth, WORTH, 2 * WORTH)


def _share_in_common(values: Tensor) -> float:
    """Power of the mean of the channels over their mean power, (N, 3, …): 1/3 if independent, 1 if the same."""
    return float(values.mean(1).square().mean() / values.square().mean().clamp(min=1e-20))


def _ramp(value: float, zero: float, full: float) -> float:
    return min(1.0, max(0.0, (value - zero) / (full - zero)))
