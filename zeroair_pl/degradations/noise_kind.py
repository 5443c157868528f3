"""The kind of noise on a photo: its level, its correlation between channels, and its growth with brightness."""

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
)
from zeroair_pl.degradations.noise_models import STEEPEST, even, even_level
from zeroair_pl.degradations.steps import ramp, step

TILE = 16  # side of a tile, in blocks of 2×2 pixels
BINS = 12  # of brightness
WORTH = 0.03  # a slope counts only if it reduces the mean misfit in log-variance by more than this
FAINT = 0.05  # a correlation between channels up to this is ignored
GRAY = 1e-4  # largest difference between the channels of a gray photo


@dataclass(frozen=True)
class NoiseKind:
    """The start of ``CameraNoise``.

    Attributes:
        level: σ, in units of [0, 1].
        common: correlation between the channels, 0 to 1.
        slope: s, the slope of the variance, 0 to ``STEEPEST``.
    """

    level: float
    common: float = 0.0
    slope: float = 0.0


def kind_of_noise(y: Tensor, denoise: Denoise, camera: float = 1.0) -> NoiseKind:
    """The noise of a photo (1, 3, H, W) with about the contrast of a clean photo; takes one or two passes of the prior.

    The first pass is that of ``look_at_noise``. If its residual shows noise that is the same in all channels (a gray
    photo, or noise in brightness only), or noise that grows with brightness, a second pass measures this kind of
    noise. The fourth moment of the residual and its correlation between neighbors distinguish both kinds from texture
    and from noise after a camera's processing, see ``matched_noise_level``.

    Args:
        y: the photo, in [0, 1].
        denoise: the prior.
        camera: see ``matched_noise_level``.
    """
    flat = max(estimate_noise_level(y), rounding(y))
    if flat < EIGHT_BITS:
        return NoiseKind(flat)
    seen, gray = parts(y), is_gray(y)
    told = max(flat * (3**0.5 if gray else 1.0), LOOK)
    clean = denoise(seen, told)
    residual = seen - clean
    first = NoiseKind(matched_noise_level(residual, camera))
    strength, moment, neighbors = signs(residual)
    white = step((0.15 - neighbors) / 0.03)
    if gray:
        return NoiseKind(first.level, white * step((3.45 - moment) / 0.05))
    # If the prior's noise level is too low for common noise, the residual has more of its fine than of its coarse part,
    # which gives a negative correlation of neighbors. Texture gives a positive one.
    found = step((-0.03 - neighbors) / 0.008) * ramp(_share_in_common(residual), 0.6, 0.75)
    if found > FAINT and (found := found * channel_correlation(y)) > FAINT:
        again = seen - denoise(seen, max(flat * (1 + 2 * found) ** 0.5, LOOK))
        return NoiseKind(matched_noise_level(again), found * step((3.45 - signs(again)[1]) / 0.05))
    slope = white * variance_slope(residual, clean, seen)
    if slope == 0:
        return first
    seen = even(seen, slope)
    residual = seen - denoise(seen, max(even_level(1.1 * strength, slope), LOOK))
    share = step((3.3 - signs(residual)[1]) / 0.03)  # near 1 if the noise is the same everywhere in this tone
    own = matched_noise_level(residual) / even_level(1.0, slope)
    return NoiseKind(max(first.level, 1e-6) ** (1 - share) * max(own, 1e-6) ** share, slope=share * slope)


def is_gray(y: Tensor) -> bool:
    """Whether the channels of ``y`` (1, 3, H, W) are equal, up to ``GRAY``."""
    return float((y.amax(1) - y.amin(1)).max()) < GRAY


def channel_correlation(y: Tensor) -> float:
    """Correlation between the channels of the noise on ``y`` (1, 3, H, W), 0 to 1.

    It is measured in the quarter of the tiles with the weakest diagonal detail.
    """
    rows, columns = y.shape[-2] // 2, y.shape[-1] // 2
    corners = F.pixel_unshuffle(y[..., : 2 * rows, : 2 * columns], 2).view(3, 4, rows, columns)
    detail = (corners * y.new_tensor([1, -1, -1, 1])[:, None, None] / 2).sum(1, keepdim=True)
    side = min(TILE, rows, columns)
    tiles = F.unfold(detail, side, stride=side)  # (3, side², L)
    power = tiles.square().mean((0, 1))
    tiles = tiles[..., power <= power.quantile(0.25)]
    return max(0.0, (3 * _share_in_common(tiles[None]) - 1) / 2)


def variance_slope(residual: Tensor, clean: Tensor, seen: Tensor) -> float:
    """The slope s of the line σ²·(1 + s·(x − ½)) that fits the variance of the residual, 0 to ``STEEPEST``.

    The fit takes least absolute deviations of the logarithm over medians, in bins of equal count of the clean
    estimate: both are robust against the remaining texture. Saturated values are left out.

    Args:
        residual, clean, seen: y − x0, x0 and y, (N, 3, H, W) each.
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
    return float(slopes[best]) * ramp(worth, WORTH, 2 * WORTH)


def _share_in_common(values: Tensor) -> float:
    """Power of the mean of the channels of (N, 3, …), divided by their mean power: 1/3 if independent, 1 if equal."""
    return float(values.mean(1).square().mean() / values.square().mean().clamp(min=1e-20))
