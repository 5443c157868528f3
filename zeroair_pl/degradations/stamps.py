"""The date that a camera printed into a corner of a photo: a row of thin digits of one bright color."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

HIGH, WIDE = 0.2, 0.5  # share of the photo's height and width at each corner that is looked at
THIN = 0.02  # widest stroke, relative to the photo's short side
APART, EDGE = 0.25, 0.1  # by how much a stroke is warmer than what is around it: for a digit to be found, to be marked
BRIGHT = 0.65  # least value of red
TALL = 0.012, 0.1  # height of the digits, relative to the photo's height
LEAST = 7  # px, height of the smallest digits
FULL = 0.75  # share of this height that a digit has at least; dots, dashes and accents have less
WIDTH, TOUCHING = 0.8, 3.0  # of a digit, and the most of digits that touch each other, relative to their height
DIGITS = 4  # the fewest of a date or a time
ALIKE = 0.12  # largest mean distance of the digits' pixels from their median color, in each channel
INK = 0.12, 0.65  # share of the row's pixels that digits cover
ALONE = 0.75  # share of the bright thin pixels in the corner that are in the row


def stamp_in(y: Tensor) -> Tensor | None:
    """A mask of the printed date in a photo (1, 3, H, W), (1, 1, H, W): 1 on its digits; ``None`` without a date.

    A stamp is a horizontal row of at least four thin pieces of about one height and one bright color, from red to
    yellow, in a corner where little else is thin and of such a color. If any of this is not so, nothing is marked: a
    sign in the scene should stay. White digits are not looked for, since many scenes have white rows of thin things.
    The mask is larger than the digits by a margin, since lenses and JPEG smear their edges.
    """
    height, width = y.shape[-2:]
    found: Tensor | None = None  # a large photo has no memory to spare for a mask of nothing
    high, wide = round(HIGH * height), round(WIDE * width)
    if high < 2 * LEAST:
        return found
    stroke = max(3, round(THIN * min(height, width))) | 1
    for rows in (slice(height - high, height), slice(0, high)):
        for columns in (slice(width - wide, width), slice(0, wide)):
            corner = y[..., rows, columns]
            warm = corner[:, :1] - corner[:, 2:]
            excess = warm - _opened(warm, stroke)
            box = _row_of_digits(((excess > APART) & (corner[:, :1] > BRIGHT))[0, 0], corner[0], height)
            if box is not None:
                margin = 2 + stroke // 6
                digits = torch.zeros_like(warm)
                digits[..., box[0], box[1]] = (excess[..., box[0], box[1]] > EDGE).to(y)
                found = torch.zeros_like(y[:, :1]) if found is None else found
                grown = F.max_pool2d(digits, 2 * margin + 1, 1, margin)
                found[..., rows, columns] = torch.maximum(found[..., rows, columns], grown)
    return found


def _row_of_digits(thin: Tensor, corner: Tensor, height: int) -> tuple[slice, slice] | None:
    """Rows and columns of a row of digits in a corner (3, h, w) of a photo of this ``height``, if there is one.

    Args:
        thin: (h, w), whether a pixel is thin and of the color of a stamp.
    """
    for top, bottom in _runs(thin.sum(1) >= 2):
        tall = bottom - top
        if not max(LEAST, TALL[0] * height) <= tall <= TALL[1] * height:
            continue
        row = thin[top:bottom]
        pieces = _runs(row.any(0))
        digits = [
            (left, right)
            for left, right in pieces
            if _extent(row[:, left:right]) >= FULL * tall and right - left <= TOUCHING * tall
        ]
        if sum(max(1, round((right - left) / tall / WIDTH)) for left, right in digits) < DIGITS:
            continue
        left, right = digits[0][0], digits[-1][1]
        inside = [piece for piece in pieces if piece[0] >= left and piece[1] <= right]
        gaps = [after[0] - before[1] for before, after in pairwise(inside)]
        ink = float(row[:, left:right].float().mean())
        colors = corner[:, top:bottom][:, row]
        even = float((colors - colors.median(1, keepdim=True).values).abs().mean(1).max())
        alone = float(row[:, left:right].sum() / thin.sum())
        if max(gaps, default=0) <= 2 * tall and INK[0] <= ink <= INK[1] and even <= ALIKE and alone >= ALONE:
            above, aside = max(0, top - 2), max(0, left - tall)  # a "1" or a dot at the ends may not count as a digit
            return slice(above, bottom + 2), slice(aside, right + tall)
    return None


def _opened(image: Tensor, side: int) -> Tensor:
    """The image without what is brighter than its surroundings and narrower than ``side`` px in any direction."""
    padded = F.pad(image, [side // 2] * 4, mode="replicate")
    least = -F.max_pool2d(-padded, side, 1)
    return F.max_pool2d(F.pad(least, [side // 2] * 4, mode="replicate"), side, 1)


def _runs(marked: Tensor) -> list[tuple[int, int]]:
    """Begin and end of each run of ``True`` in (n,)."""
    edges = torch.diff(F.pad(marked.int(), (1, 1))).tolist()
    begins, ends = ([i for i, edge in enumerate(edges) if edge == sign] for sign in (1, -1))
    return list(zip(begins, ends, strict=True))


def _extent(piece: Tensor) -> int:
    """Rows from the first to the last that has anything in a piece (h, w)."""
    rows = torch.nonzero(piece.any(1)).flatten()
    return int(rows[-1] - rows[0]) + 1
