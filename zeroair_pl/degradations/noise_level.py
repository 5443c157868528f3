"""A first, robust look at how noisy a photo is, before any model has seen it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# On pure white noise the lower quartile of the medians of 256 values lies low by this factor (20,000 simulated tiles).
LOW_QUARTILE = 1.057


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
