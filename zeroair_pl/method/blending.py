"""A share of the correction, after the fit: a mix of the photo and its restoration that returns texture first.

A restoration x of a photo y makes two changes. It changes light, color and veil, by a smooth function of the values.
And it removes noise, grain and blocks. People who ask for a weaker correction usually miss the texture: skin, grass,
grain. So the difference is split into a part b, which is linear in x in each small window, and the rest d:

    x − y = b + d,    b = a·x + c by least squares in each window,
    mixed(s) = y + s·b + s²·d.

A lower strength s returns the rest first: at s = 0.9 a fifth of it, but a tenth of the change of light. The split is a
guided filter (He, Sun & Tang, TPAMI 2013) of the difference, with the restoration as its guide, for each channel. A
veil or a tone curve is nearly linear in x within a window, also at edges and in texture, so b contains it, and no halos
appear. Noise is not a function of x, so d contains it. If the restoration only removes noise, a share of 1 − s² of the
noise returns.

Both weights grow from 0 to 1 with s, so the mix changes steadily from the photo to the restoration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from zeroair_pl.photos.masking import weight_of_size
from zeroair_pl.photos.photo import Array
from zeroair_pl.photos.sizes import as_large_as

RADIUS = 8  # px: windows of 17×17, larger than blotches of camera noise and blocks of JPEG
EPS = 1e-5  # variance, with values in [0, 1], below which a window counts as flat
BAND = 256  # rows that are computed at once, which limits the memory


def mixed(photo: Tensor, restored: Tensor, strength: float, weight: Tensor | None = None) -> Tensor:
    """The photo with a share of its correction, ``mixed(s)`` in the equation above.

    Args:
        photo: y, (3, h, w) in [0, 1]; enlarged (bicubic) if the restoration is larger.
        restored: x, (3, H, W) in [0, 1].
        strength: s, 0 to 1. At 0 and 1 the result is exactly the photo or the restoration.
        weight: (1, h, w), 0 where the photo keeps its values; see ``masking``.

    Returns:
        (3, H, W) in [0, 1].
    """
    photo = as_large_as(photo, (restored.shape[-2], restored.shape[-1]))
    if strength in (0, 1):
        return restored if strength else photo
    out = torch.empty_like(restored)
    height, margin = restored.shape[-2], 2 * RADIUS
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        first = max(0, top - margin)
        near = slice(first, min(bottom + margin, height))
        rows = slice(top - first, bottom - first)
        y, x = photo[:, near], restored[:, near]
        change = x - y
        broad = explained(change, x)
        found = y + strength * broad + strength**2 * (change - broad)
        out[:, top:bottom] = found[:, rows]
    out.clamp_(0, 1)
    if weight is not None:  # the windows of the split reach beyond the mask
        out = torch.where(weight_of_size(weight, (height, out.shape[-1])) > 0, out, photo)
    return out


def explained(change: Tensor, x: Tensor) -> Tensor:
    """b, (3, H, W): the part of ``change`` that is a linear function of ``x`` in each window, for each channel."""
    guide, given = (np.ascontiguousarray(each.permute(1, 2, 0).numpy()) for each in (x, change))
    mean = window_mean(x.shape[-2], x.shape[-1])
    m, n = mean(guide), mean(given)
    slope = (mean(guide * given) - m * n) / (mean(guide * guide) - m * m + EPS)
    found = mean(slope) * guide + mean(n - slope * m)
    return torch.from_numpy(found).permute(2, 0, 1)


def window_mean(height: int, width: int) -> Callable[[Array], Array]:
    """The mean over windows of ``RADIUS`` pixels, or of half the image, for arrays (h, ``width``, C) of its rows."""
    import cv2  # the time of its box filter does not depend on the radius

    sides = [2 * min(RADIUS, (side - 1) // 2) + 1 for side in (width, height)]

    def mean(values: Array) -> Array:
        found: Array = cv2.blur(values, sides, borderType=cv2.BORDER_REFLECT)
        return found

    return mean
