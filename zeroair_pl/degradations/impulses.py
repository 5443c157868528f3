"""Salt and pepper: single pixels of a photo that are black or white by a fault, all over the photo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.steps import ramp

EXTREME = 1.5 / 255  # distance from black or white up to which a pixel has lost its value
NEAR = 14.5 / 255  # and the distance up to which a pixel is nearly black or white
APART = 0.15  # least difference from the median of the 24 pixels around it
PART = 512  # pixels: side of the part in the middle of the photo that is looked at
MANY = 0.0015, 0.003  # share of black specks, and of white ones, from which on it is a fault: none, surely
EVEN = 0.45, 0.65  # evenness over the photo
RARE = 5.0, 7.0  # specks by pixels apart that are only nearly black or white; noise of 80/255 has 3.7 to 4.3


def salt_and_pepper(y: Tensor) -> float:
    """0 to 1: whether a photo (1, 3, H, W) has black and white specks that are no part of the scene.

    Such specks are single pixels, black ones and white ones, that differ from their surroundings. They are everywhere
    in the photo, and exactly black or white: strong noise, which is cut off at black and white, makes as many pixels
    that are nearly so. A scene has stars or snow, or the texture of leaves, but not all of this.
    """
    top, left = (max(0, (length - PART) // 2) for length in y.shape[-2:])
    y = y[..., top : top + PART, left : left + PART]
    if min(y.shape[-2:]) < 32:
        return 0.0
    apart = (y.mean(1, keepdim=True) - _median_around(y.mean(1, keepdim=True)))[0]
    both = [_specks(y.amax(1), apart < -APART), _specks(1 - y.amin(1), apart > APART)]
    share, even = (min(each[k] for each in both) for k in (0, 1))
    return ramp(share, *MANY) * ramp(even, *EVEN) * ramp((both[0][2] * both[1][2]) ** 0.5, *RARE)


def _specks(distance: Tensor, apart: Tensor) -> tuple[float, float, float]:
    """Of pixels ``apart`` whose ``distance`` from black or white is 0, both (1, H, W): share, evenness, and rareness.

    The rareness is their number by that of the pixels apart that are only nearly black or white.
    """
    specks, near = (apart & (distance <= limit) for limit in (EXTREME, NEAR))
    share, both = float(specks.float().mean()), float(near.float().mean())
    parts = F.adaptive_avg_pool2d(specks[None].float(), 8)
    even = float(parts.sum().square() / (parts.numel() * parts.square().sum() + 1e-12))
    return share, even, share / (both - share + 1e-5)


def _median_around(gray: Tensor) -> Tensor:
    """The median of the 24 pixels around each pixel of (1, 1, H, W)."""
    height, width = gray.shape[-2:]
    patches = F.unfold(F.pad(gray, [2] * 4, mode="reflect"), 5).view(25, height, width)
    return torch.cat([patches[:12], patches[13:]]).median(0).values[None, None]
