"""Banding: a photo in which only some values occur, so that its smooth parts have become steps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.blocks import truncated_mean

VALUES = 256
RARE = 6.0  # pixels; a value that would have more, if it were as frequent as its neighbors, is left out and not rare
VISIBLE = 1.5  # mean width of the intervals, in units of 1/255, up to which the photo stays as it is
FIRST, LAST = 0.3, 0.1  # noise levels, in units of the mean width
BAND = 512  # rows that are computed at once
CUT = (
    8,
    16,
    32,
    64,
)  # if all values are multiples of one of these, bits were cut off; a raised contrast is seldom so high


class Banding(Degradation):
    """y = Q(x): each value of x is replaced by one of those that occur in the photo.

    Values are left out where a file has few bits, or where the contrast of a photo with 8 bits was raised. The
    histogram of each channel shows which. A value v then stands for all x up to the middles between v and its
    neighbors; if the last bits were cut off, for all x from v to the next value. The proximal step has a closed form:
    each value of x0 moves to the mean of N(x0, e²), truncated to this interval.
    """

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        low, high = intervals_of(y)
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        widths = [(high - low)[c][codes].mean() for c, codes in enumerate(_codes(y)[0])]
        self.register_buffer("width", torch.stack(widths).mean().to(y))

    def forward(self, x: Tensor) -> Tensor:
        return x  # within an interval, the photo does not depend on x; ``proximal`` knows the intervals

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        if self.untouched:
            return super().proximal(x0, y, error)
        z = torch.empty_like(x0)
        for top in range(0, y.shape[-2], BAND):
            rows = (..., slice(top, top + BAND), slice(None))
            codes = _codes(y[rows])[0]
            low, high = (torch.stack([own[c][codes[c]] for c in range(3)])[None] for own in self._intervals)
            z[rows] = truncated_mean(x0[rows], low, high, error)
        return z

    @property
    def _intervals(self) -> tuple[Tensor, Tensor]:
        return self.get_buffer("low"), self.get_buffer("high")

    def levels(self) -> tuple[float, float]:
        width = float(self.get_buffer("width"))
        return FIRST * width, LAST * width

    @property
    def unsure(self) -> float:  # type: ignore[override]
        return float(self.get_buffer("width")) / 12**0.5 if "width" in self._buffers else 1 / 255

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return z

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return []  # the histogram determines the intervals

    @property
    def untouched(self) -> bool:
        return 255 * float(self.get_buffer("width")) <= VISIBLE

    def diagnostics(self) -> dict[str, Tensor]:
        return {"width": self.get_buffer("width").view(1, 1, 1, 1)}


def intervals_of(y: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest x for which each of 256 values stands, (3, 256) each, in units of [0, 1].

    The values between two that occur are left out, and not only rare, if they would have occurred often at the
    frequency of these two.
    """
    place = torch.arange(VALUES, dtype=torch.float32, device=y.device)
    low, high = (place - 0.5).repeat(3, 1), (place + 0.5).repeat(3, 1)
    counts = torch.stack([torch.bincount(codes.flatten(), minlength=VALUES) for codes in _codes(y)[0]])
    occurring = counts.sum(0).nonzero().flatten().tolist()
    if (step := math.gcd(*occurring)) in CUT and len(occurring) >= max(3, VALUES // (2 * step)):
        return low / (VALUES - 1), (high + step - 1) / (VALUES - 1)
    for c in range(3):
        found = counts[c].nonzero().flatten()
        if len(found) < 2:
            continue
        gaps, least = found.diff(), torch.minimum(counts[c, found[1:]], counts[c, found[:-1]])
        more = (torch.where(least > RARE * gaps, gaps, 1) - 1) / 2
        high[c, found[:-1]] += more
        low[c, found[1:]] -= more
        low[c, found[0]] -= more[0]
        high[c, found[-1]] += more[-1]
    return low / (VALUES - 1), high / (VALUES - 1)


def _codes(y: Tensor) -> Tensor:
    return (y * (VALUES - 1)).round().long().clamp(0, VALUES - 1)
