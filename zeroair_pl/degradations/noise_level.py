"""A first, robust look at how noisy a photo is, before any model has seen it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# On pure white noise the lower quartile of the medians of 256 values lies low by this factor (20,000 simulated tiles).
LOW_QUARTILE = 1.057
EIGHT_BITS, SIXTEEN_BITS = 1 / 255 / 12**0.5, 1 / 65535 / 12**0.5  # uniform within a step
_LOOKED_AT = 200_000  # values


def estimate_noise_level(y: Tensor) -> float:
    """Standard deviation of white noise that would be as strong as the noise on ``y`` (1, 3, H, W) in [0, 1].

    The geometric mean of the noise in the finest and second finest detail. White noise is equally strong in both.
    Noise that went through a resize, a demosaic or JPEG has lost its finest part, which alone would make a denoiser
    leave the coarser part in; texture, which the second scale holds more of, is kept at bay by the first.
    """
    fine = _scale(y)
    if min(y.shape[-2:]) < 32:
        return fine
    coarse = 2 * _scale(F.avg_pool2d(y, 2))
    return (fine * coarse) ** 0.5


def rounding(y: Tensor) -> float:
    """Standard deviation of the error that rounding left on ``y`` (1, 3, H, W): no photo is known better.

    That of 8 bits, where all values are multiples of 1/255; else that of 16.
    """
    values = y.flatten()
    steps = 255 * values[:: max(1, len(values) // _LOOKED_AT)]
    return EIGHT_BITS if bool(((steps - steps.round()).abs() < 1e-3).all()) else SIXTEEN_BITS


def _scale(y: Tensor) -> float:
    """Noise in the diagonal Haar detail d = (a − b − c + e)/2 of 2×2 blocks, in the flattest part of the photo.

    d has the standard deviation of white noise and little image content. Following Donoho & Johnstone (1994),
    σ = median |d| / 0.6745; to keep texture out, the median is taken in each tile and a low quantile over the tiles is
    used. Saturated pixels have no noise and are left out.
    """
    height, width = (n - n % 2 for n in y.shape[-2:])
    a, b = y[..., 0:height:2, 0:width:2], y[..., 0:height:2, 1:width:2]
    c, e = y[..., 1:height:2, 0:width:2], y[..., 1:height:2, 1:width:2]
    detail = ((a - b - c + e) / 2).abs()
    block = torch.stack([a, b, c, e])
    valid = (block.amin(0) > 2 / 255) & (block.amax(0) < 253 / 255)
    side = 16
    if min(detail.shape[-2:]) >= side:
        tiles = F.unfold(detail[0][:, None], side, stride=side)  # (3, side², L)
        usable = F.unfold(valid[0][:, None].float(), side, stride=side).mean(1) > 0.9
        if int(usable.sum()) >= 4:
            return float(tiles.median(dim=1).values[usable].quantile(0.25)) / 0.6745 * LOW_QUARTILE
    # Too small, or saturated nearly everywhere.
    chosen = detail[valid] if valid.any() else detail.flatten()
    return float(chosen.median()) / 0.6745


WHOLE, PART = 384, 192  # pixels: sides up to which a photo is seen whole, and of each of four parts of a larger one
LOOK = 8 / 255  # noise level of a look through the prior, at which faint noise and faint texture come apart


def matched_noise_level(residual: Tensor) -> float:
    """The level of white noise at which a denoiser does best with the noise it has found, in units of ``residual``.

    The residual (N, 3, H, W) is a photo less its denoised self, for a level somewhat above the noise. Its strength r is
    corrected by two things that tell noise from texture, and noise of a sensor from noise of a camera:

    - its fourth moment k, 3 for noise that is the same everywhere. Texture is strong in places, so k is higher (3.7 to
      6.4 on clean photos, 3.0 to 3.1 with noise of 6/255), and most of r is no noise then;
    - its correlation c between neighbors, 0 for white noise. Demosaicking, denoising and JPEG leave the coarse part of
      the noise (c = 0.33 to 0.64 on photos of cameras at high ISO, 0.1 to 0.35 in texture). A denoiser for white noise
      keeps that as if it were texture, unless its noise level is set higher. r·(1 + 8c²) is near the best level that
      was found by trying: r for white noise, 1.1 r for resampled noise, 2.5 to 4 r for noise of cameras.
    """
    strength, moment, neighbors = signs(residual)
    if strength == 0.0:
        return 0.0
    camera = step((neighbors - 0.34) / 0.02)
    noise = max(camera, 1 - 0.6 * step((moment - 3.5) / 0.1))
    c = max(0.0, neighbors + 0.03)  # what the denoiser leaves of white noise is slightly below 0
    return strength * noise * (1 + 8 * c * c)


def signs(residual: Tensor) -> tuple[float, float, float]:
    """r, k and c of a residual (N, 3, H, W), see ``matched_noise_level``."""
    power = residual.square().mean()
    if float(power) == 0.0:
        return 0.0, 3.0, 0.0
    across = (residual[..., :-1] * residual[..., 1:]).mean()
    down = (residual[..., :-1, :] * residual[..., 1:, :]).mean()
    moment = residual.pow(4).mean() / power.square()
    return float(power.sqrt()), float(moment), float((across + down) / 2 / power)


def look_at_noise(y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> float:
    """The noise level of a photo (1, 3, H, W) that has about a clean one's contrast, by ``matched_noise_level``.

    In haze and in the dark, texture is as faint as noise, and the flattest parts of the photo tell more. So they do
    where they show less noise than 8 bits can: the prior's own error is above that.

    Args:
        denoise: the prior, which is shown all of a small photo, or four parts of a larger one, side by side.
    """
    flat = max(estimate_noise_level(y), rounding(y))
    if flat < EIGHT_BITS:
        return flat
    seen = parts(y)
    return matched_noise_level(seen - denoise(seen, max(flat, LOOK)))


def parts(y: Tensor) -> Tensor:
    """All of a small photo, or four parts of a larger one, side by side, (N, 3, h, w)."""
    height, width = y.shape[-2:]
    if max(height, width) <= WHOLE:
        return y
    h, w = min(PART, height), min(PART, width)
    tops = {max(0, min(round(height * share) - h // 2, height - h)) for share in (0.3, 0.7)}
    lefts = {max(0, min(round(width * share) - w // 2, width - w)) for share in (0.3, 0.7)}
    return torch.cat([y[..., top : top + h, left : left + w] for top in sorted(tops) for left in sorted(lefts)])


def step(x: float) -> float:
    """A soft step from 0 to 1 around 0, some 4 wide."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))
