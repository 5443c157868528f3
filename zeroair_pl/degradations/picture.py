"""Finds the picture in a photo: the part without frames, bars and borders, which do not show the scene."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.maps import filled, thumbnail
from zeroair_pl.degradations.stamps import stamp_in

Window = tuple[slice, slice, slice, slice]

SAME = 5 / 255  # largest difference in values of a border of one color, which JPEG causes
SHARE = 0.8  # least share of a row with the border's color; the rest may be text on the border
LAYERS = 3  # borders inside each other, such as a frame, a line and a mat
PLAIN = 3 / 255  # range of the values of a plain area
TRIM = 0.02  # share of a framed picture's sides that is not looked at
AT_LEAST = 0.4  # least share of each side that remains
LEGIBLE = 512 * 512  # pixels of the copy in which a printed date is looked for


def picture_window(y: Tensor) -> Window:
    """The largest window of a photo (1, 3, H, W) in [0, 1] without the rows and columns of one color at its edges.

    The search uses a thumbnail, so the result does not depend on the size. Only borders on two opposite sides count,
    since a plain sky has one color too, but is on one side.

    Returns:
        Slices for the four dimensions of ``y``.
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
    """The picture in ``y`` as a thumbnail (1, 3, h, w) of about ``pixels`` pixels, for computing statistics."""
    whole = thumbnail(without_date(y))
    inside = picture(whole)
    # What is left of a frame's line would count as the hardest edge.
    if inside.shape != whole.shape and min(inside.shape[-2:]) > 16:
        down, across = (max(1, round(TRIM * side)) for side in inside.shape[-2:])
        inside = inside[..., down:-down, across:-across]
    small = thumbnail(inside, pixels)
    if min(small.shape[-2:]) < 8:  # statistics need neighborhoods of pixels
        size = (max(8, small.shape[-2]), max(8, small.shape[-1]))
        small = F.interpolate(small, size=size, mode="nearest")
    return small


def without_date(y: Tensor) -> Tensor:
    """``y``, or if a date is printed into a corner, a copy of ``LEGIBLE`` pixels in which its digits are filled.

    The digits are brighter than a dark scene has anything, and their edges harder than those of a hazy one.
    """
    small = thumbnail(y, LEGIBLE)
    date = stamp_in(small)
    return y if date is None else filled(small, 1 - date)


def has_shades(y: Tensor) -> bool:
    """Whether a photo (1, 3, H, W) in [0, 1] has more than two values, so that there may be something to restore.

    A plain area, a mask and a bilevel scan have not: any noise or darkness in them is meant.
    """
    if float(y.amax() - y.amin()) < PLAIN:
        return False
    two = [float(y.amin()), float(y.amax())]
    return any(bool(((part - two[0]) * (two[1] - part) > 0).any()) for part in y[0].split(64, dim=1))


def _borders(y: Tensor) -> tuple[int, int]:
    """Numbers of border rows at the top and at the bottom; both are 0 if either is."""
    above, below = _border(y), _border(y.flip(-2))
    return (above, below) if above and below else (0, 0)


def _border(y: Tensor) -> int:
    """Number of border rows at the top of ``y``: those with the color of the first, and one mixed row below them.

    At most a third of the rows count.
    """
    color = y[0, :, 0].median(dim=-1).values[:, None, None]
    same = ((y[0] - color).abs().amax(0) < SAME).float().mean(-1) > SHARE
    most = len(same) // 3
    count = int(torch.cat([same[:most].float(), same.new_zeros(1).float()]).cumprod(0).sum())
    return min(count + 1, max(most, 1)) if count else 0


def _slice(start: int, stop: int, length: int, scale: float) -> slice:
    return slice(round(start * scale) if start else 0, round(stop * scale) if stop < length else None)
