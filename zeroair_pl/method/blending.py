"""A share of the correction, after the fit: the photo and its restoration mixed, its own texture first.

A restoration x of a photo y does two things at once. It changes light, color and veil, which is a smooth function of
what is there; and it removes noise, grain and blocks, which is not. A person who asks for less of it nearly always
misses the second: the skin, the grass, the grain. So the difference is split,

    x − y = b + d,    b = a·x + c in each small window, by least squares;    d = the rest,
    mixed(s) = y + s·b + s²·d,

and the rest comes back first: at s = 0.9 a fifth of it, of the change of light a tenth. The split is a guided filter
(He, Sun & Tang, TPAMI 2013) of the difference, with the restoration as its guide, channel by channel. A veil or a tone
curve is linear in x within a window, edges and texture included, so that b has all of it and no halo is drawn; noise is
not, and is all in d. Of a pure denoiser 1 − s² of the grain is back.

Both weights grow with s, from 0 to 1: the way from the photo to the restoration is monotone and without a jump.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zeroair_pl.photos.masking import weight_of_size, weights
from zeroair_pl.photos.photo import Array, Photo
from zeroair_pl.photos.reading import decode_photo
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.photos.writing import encode_photo

RADIUS = 8  # px: windows of 17, wider than blotches of camera noise and than JPEG's blocks
EPS = 1e-5  # variance of a window, in units of [0, 1], below which it counts as flat
BAND = 256  # rows that are split at a time: the memory does not grow with the photo


def mixed(photo: Tensor, restored: Tensor, strength: float, weight: Tensor | None = None) -> Tensor:
    """The photo with a share of its correction, as the equation above has it.

    Args:
        photo: y, (3, h, w) in [0, 1]; enlarged (bicubic) where the restoration is larger.
        restored: x, (3, H, W) in [0, 1].
        strength: s, from 0, the photo's very values, to 1, the restoration's.
        weight: (1, h, w), 0 where the photo's values stay; see ``masking``.

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
        broad = _explained(change, x)
        found = y + strength * broad + strength**2 * (change - broad)
        out[:, top:bottom] = found[:, rows]
    out.clamp_(0, 1)
    if weight is not None:  # the split has spread over its edge
        out = torch.where(weight_of_size(weight, (height, out.shape[-1])) > 0, out, photo)
    return out


def _explained(change: Tensor, x: Tensor) -> Tensor:
    """b: the part of a change (3, H, W) that is a linear function of x within each window, channel by channel."""
    import cv2  # its box filter costs the same for any radius

    sides = [2 * min(RADIUS, (side - 1) // 2) + 1 for side in (x.shape[-1], x.shape[-2])]

    def mean(values: Array) -> Array:
        found: Array = cv2.blur(values, sides, borderType=cv2.BORDER_REFLECT)
        return found

    guide, given = (np.ascontiguousarray(each.permute(1, 2, 0).numpy()) for each in (x, change))
    m, n = mean(guide), mean(given)
    slope = (mean(guide * given) - m * n) / (mean(guide * guide) - m * m + EPS)
    found = mean(slope) * guide + mean(n - slope * m)
    return torch.from_numpy(found).permute(2, 0, 1)


def share_of(path: str | Path, full: bytes, photo: Photo, strength: float, own: bytes | None = None) -> bytes:
    """The file with a share of the correction, from the file with all of it.

    It is mixed from what is in that file, so that a strength that is changed later, when nothing else is left of the
    fit, gives the same bytes.

    Args:
        path: of the file, whose suffix says its format.
        full: the file with all of the correction.
        photo: the photo.
        strength: from 0 to 1.
        own: the photo's own file, where it can be copied: the result at strength 0, if the photo keeps its size.
    """
    if strength == 1:
        return full
    restored = decode_photo(full, Path(path))
    if strength == 0 and own is not None and restored.size == photo.size:
        return own
    pixels = restored.pixels
    if restored.white != photo.white:  # what counts as 1 was found from other values
        pixels = (pixels * (_top(restored) / _top(photo))).clamp(0, 1)
    return encode_photo(path, mixed(photo.pixels, pixels, strength, weights(photo)), photo)


def _top(photo: Photo) -> float:
    """The sample that 1 stands for."""
    kind = np.dtype(photo.dtype)
    return photo.white or (float(np.iinfo(kind).max) if kind.kind == "u" else 1.0)
