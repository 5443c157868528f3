"""Where in a photo the picture is: without frames, bars and borders, which are no part of the scene."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import thumbnail

Window = tuple[slice, slice, slice, slice]

SAME = 5 / 255  # values that a border of one color may differ by, after JPEG
SHARE = 0.8  # of a row that is of the border's color: the rest may be writing on it
LAYERS = 3  # a mat, a line around it, a frame
AT_LEAST = 0.4  # of either side is picture, whatever it looks like


def picture_window(y: Tensor) -> Window:
    """The largest window of a photo (1, 3, H, W) in [0, 1] without the rows and columns of one color at its edges.

    Found on a thumbnail, so that it does not depend on the size. A border is on two opposite sides; a plain sky is
    on one.
    """
    small = thumbnail(y)
    (top, bottom), (left, right) = (0, small.shape[-2]), (0, small.shape[-1])
    for _ in range(LAYERS):
        inside = small[..., top:bottom, left:right]
        if inside.shape[-2] < AT_LEAST * small.shape[-2] or inside.shape[-1] < AT_LEAST * small.shape[-1]:
            break
        above, below = _borders(inside)
        inside = inside[..., above : inside.shape[-2] - below, :].transpose(-1, -2)
        before, behind = _borders(inside)
        top, bottom, left, right = top + above, bottom - below, left + before, right - behind
        if above + below + before + behind == 0:
            break
    high, wide = y.shape[-2] / small.shape[-2], y.shape[-1] / small.shape[-1]
    rows, columns = _slice(top, bottom, small.shape[-2], high), _slice(left, right, small.shape[-1], wide)
    return slice(None), slice(None), rows, columns


def picture(y: Tensor) -> Tensor:
    """The photo within its ``picture_window``."""
    return y[picture_window(y)]


def looked_at(y: Tensor, pixels: int = 128 * 128) -> Tensor:
    """The picture in ``y`` as a thumbnail (1, 3, h, w): what statistics are computed of."""
    small = thumbnail(picture(thumbnail(y)), pixels)
    if min(small.shape[-2:]) < 8:  # a sliver has no neighborhoods
        size = (max(8, small.shape[-2]), max(8, small.shape[-1]))
        small = F.interpolate(small, size=size, mode="nearest")
    return small


def _borders(y: Tensor) -> tuple[int, int]:
    """Rows at the top and at the bottom: both or none, since a plain sky ends at no second border."""
    above, below = _border(y), _border(y.flip(-2))
    return (above, below) if above and below else (0, 0)


def _border(y: Tensor) -> int:
    """Rows at the top of ``y`` that are of the color of the first, and the mixed one below them; at most a third."""
    color = y[0, :, 0].median(dim=-1).values[:, None, None]
    same = ((y[0] - color).abs().amax(0) < SAME).float().mean(-1) > SHARE
    most = len(same) // 3
    count = int(torch.cat([same[:most].float(), same.new_zeros(1).float()]).cumprod(0).sum())
    return min(count + 1, max(most, 1)) if count else 0


def _slice(start: int, stop: int, length: int, scale: float) -> slice:
    return slice(round(start * scale) if start else 0, round(stop * scale) if stop < length else None)
