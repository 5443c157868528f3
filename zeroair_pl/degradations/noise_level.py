"""First estimates of the noise level of a photo, before a fit."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.steps import step

# On pure white noise the lower quartile of the medians of 256 values lies low by this factor (20,000 simulated tiles).
LOW_QUARTILE = 1.057
EIGHT_BITS, SIXTEEN_BITS = 1 / 255 / 12**0.5, 1 / 65535 / 12**0.5  # uniform within a step
_LOOKED_AT = 200_000  # values


def estimate_noise_level(y: Tensor) -> float:
    """Standard deviation of white noise that is as strong as the noise on ``y`` (1, 3, H, W) in [0, 1].

    It is the geometric mean of the noise in the finest and in the second finest detail. For white noise, both are
    equal. Resizing, demosaicing and JPEG remove the finest part of the noise, so the finest detail alone would give too
    low a level, and a denoiser would keep the coarser part. The second scale contains more texture, so it alone would
    give too high a level.
    """
    fine = _scale(y)
    if min(y.shape[-2:]) < 32:
        return fine
    coarse = 2 * _scale(F.avg_pool2d(y, 2))
    return (fine * coarse) ** 0.5


def rounding(y: Tensor) -> float:
    """Standard deviation of the rounding error of ``y`` (1, 3, H, W): the least noise that a photo can have.

    If all values are multiples of 1/255, it is that of 8 bits, otherwise that of 16 bits.
    """
    values = y.flatten()
    steps = 255 * values[:: max(1, len(values) // _LOOKED_AT)]
    return EIGHT_BITS if bool(((steps - steps.round()).abs() < 1e-3).all()) else SIXTEEN_BITS


def _scale(y: Tensor) -> float:
    """Noise in the diagonal Haar detail d = (a − b − c + e)/2 of 2×2 blocks, in the flattest part of the photo.

    d has the standard deviation of white noise, and little image content. As in Donoho & Johnstone (1994),
    σ = median |d| / 0.6745. To exclude texture, the median is taken in each tile, and then a low quantile over the
    tiles. Saturated pixels have no noise and are left out.
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
    # The photo is too small, or saturated nearly everywhere.
    chosen = detail[valid] if valid.any() else detail.flatten()
    return float(chosen.median()) / 0.6745


WHOLE, PART = 384, 192  # pixels: a photo up to the first is used whole; of a larger one, four parts of the second
LOOK = 8 / 255  # noise level for the prior at which faint noise and faint texture can be distinguished


def matched_noise_level(residual: Tensor, camera: float = 1.0) -> float:
    """The noise level at which a denoiser for white noise best removes the noise in ``residual``, in the same units.

    The residual (N, 3, H, W) is a photo minus its denoised version, for a noise level somewhat above the noise. Its
    root mean square r is corrected by two numbers. They distinguish noise from texture, and the white noise of a sensor
    from the noise that a camera's processing leaves:

    - The fourth moment k is 3 for noise that is the same everywhere. Texture is strong only in places, so k is higher
      (3.7 to 6.4 on clean photos, 3.0 to 3.1 with noise of 6/255), and most of r is then not noise.
    - The correlation c between neighbors is 0 for white noise. Demosaicing, denoising and JPEG leave the coarse part of
      the noise (c = 0.33 to 0.64 on photos of cameras at high ISO, 0.1 to 0.35 in texture). A denoiser for white noise
      keeps this part like texture, unless its noise level is higher. r·(1 + 8c²) is close to the best levels found by
      trial: r for white noise, 1.1 r for resampled noise, 2.5 to 4 r for noise of cameras.

    ``camera``, 0 to 1, says whether correlated detail may be the noise of a camera.
    """
    strength, moment, neighbors = signs(residual)
    if strength == 0.0:
        return 0.0
    camera = camera * step((neighbors - 0.34) / 0.02)
    noise = max(camera, 1 - 0.6 * step((moment - 3.5) / 0.1))
    c = max(0.0, neighbors + 0.03)  # for white noise, c is slightly below 0
    return strength * noise * (1 + 8 * c * c)


def signs(residual: Tensor) -> tuple[float, float, float]:
    """(r, k, c) of a residual (N, 3, H, W), see ``matched_noise_level``."""
    power = residual.square().mean()
    if float(power) == 0.0:
        return 0.0, 3.0, 0.0
    across = (residual[..., :-1] * residual[..., 1:]).mean()
    down = (residual[..., :-1, :] * residual[..., 1:, :]).mean()
    moment = residual.pow(4).mean() / power.square()
    return float(power.sqrt()), float(moment), float((across + down) / 2 / power)


def look_at_noise(y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> float:
    """The noise level of a photo (1, 3, H, W) with about the contrast of a clean photo, by ``matched_noise_level``.

    In haze and in the dark, texture is as faint as noise, and ``estimate_noise_level`` is more accurate. Its estimate
    is also returned if it is below the rounding error of 8 bits, since the prior's own error is larger.

    Args:
        y: the photo, in [0, 1].
        denoise: the prior; it gets the whole of a small photo, or four parts of a larger one.
    """
    flat = max(estimate_noise_level(y), rounding(y))
    if flat < EIGHT_BITS:
        return flat
    seen = parts(y)
    return matched_noise_level(seen - denoise(seen, max(flat, LOOK)))


def parts(y: Tensor) -> Tensor:
    """The whole of a small photo ``y`` (1, 3, H, W), or four parts of a larger one as a batch, (N, 3, h, w)."""
    height, width = y.shape[-2:]
    if max(height, width) <= WHOLE:
        return y
    h, w = min(PART, height), min(PART, width)
    tops = {max(0, min(round(height * share) - h // 2, height - h)) for share in (0.3, 0.7)}
    lefts = {max(0, min(round(width * share) - w // 2, width - w)) for share in (0.3, 0.7)}
    return torch.cat([y[..., top : top + h, left : left + w] for top in sorted(tops) for left in sorted(lefts)])
