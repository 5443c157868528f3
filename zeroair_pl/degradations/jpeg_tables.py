"""Quantization tables of a JPEG: from its file, from a quality, or from the traces of quantization in the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.blocks import dct, smooth_inverse, to_ycc

if TYPE_CHECKING:
    from zeroair_pl.photos.jpeg import JpegFile

# Annex K of ITU-T T.81, scaled to a quality as libjpeg does.
_LUMA = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
_CHROMA = torch.full((8, 8), 99)
_CHROMA[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])

PART = 512  # pixels: side of the part in the middle in which the steps of a photo are searched
QUALITIES = range(5, 96)
_ROUNDING = 0.35  # error of a coefficient, a standard deviation in units of 1/255, from pixels rounded to 8 bits
_LOW = [(u, v) for u in range(5) for v in range(5) if 0 < u + v < 5]  # frequencies with enough values above 0
_SURE = 0.25  # score above which a photo counts as compressed, in nats per coefficient
_CLIPPED = 0.02, 0.98


@dataclass(frozen=True)
class Tables:
    """Quantization tables and the layout of the samples; see ``photos.jpeg.JpegFile``.

    Attributes:
        luma, chroma: quantization steps, (8, 8), in units of [0, 1].
        pool: (down, across), the rows and columns of pixels that share a chroma sample.
        top, left: rows and columns of the first block that lie outside of the photo.
    """

    luma: Tensor
    chroma: Tensor
    pool: tuple[int, int] = (1, 1)
    top: int = 0
    left: int = 0

    @classmethod
    def of_quality(cls, quality: float) -> Tables:
        """The tables that libjpeg uses at a ``quality`` of 1 to 100."""
        scale = 5000 / quality if quality < 50 else 200 - 2 * quality
        luma, chroma = (((table * scale + 50) / 100).floor().clamp(1, 255) / 255 for table in (_LUMA, _CHROMA))
        return cls(luma, chroma)

    @classmethod
    def of_file(cls, file: JpegFile) -> Tables:
        """The tables of a JPEG file."""
        luma, chroma = (torch.from_numpy(table) / 255 for table in (file.luma, file.chroma))
        return cls(luma, chroma, file.pool, file.top, file.left)

    def quality(self) -> float:
        """The quality, 1 to 100, whose mean luma step is nearest."""
        wanted = float(self.luma.mean())
        return float(min(range(1, 101), key=lambda q: abs(float(Tables.of_quality(q).luma.mean()) - wanted)))


def middle(y: Tensor) -> Tensor:
    """At most ``PART``×``PART`` pixels from the middle of a photo (1, 3, H, W), with the same grid of blocks."""
    top, left = (max(0, length - PART) // 32 * 16 for length in y.shape[-2:])  # a multiple of 16 pixels
    return y[..., top : top + PART, left : left + PART]


def found_in(y: Tensor) -> Tables | None:
    """The tables found from the pixels of a photo (1, 3, H, W) in [0, 1]; ``None`` if there is no sign of compression.

    The grid of blocks begins at the one of 64 positions where neighbors differ most. The quality is the one with the
    highest likelihood that the luma coefficients are near multiples of its steps. Multiples of a step are multiples of
    half the step too, but the likelihood is higher for the larger step, since it allows fewer values. Chroma is
    taken as full size or subsampled, whichever fits better.
    """
    top, left = grid_of(y)
    part = y[..., top:, left:]
    if min(part.shape[-2:]) < 48:
        return None
    ycc, telling = 255 * to_ycc(part), _unclipped(part)
    luma = dct(_whole(ycc[:, :1], 8) - 128)[0, 0]
    found = max(QUALITIES, key=lambda q: _score(luma, Tables.of_quality(q).luma, telling))
    tables = Tables.of_quality(found)
    if _score(luma, tables.luma, telling) < _SURE:
        return None
    best = _score(dct(_whole(ycc[:, 1:2], 8))[0, 0], tables.chroma, telling), (1, 1), 0, 0
    for down, across in ((0, 0), (0, 8), (8, 0), (8, 8)):  # a block of subsampled chroma covers two blocks
        means = F.avg_pool2d(_whole(ycc[:, 1:2, down:, across:], 16), 2)
        means = smooth_inverse(smooth_inverse(means).transpose(-1, -2)).transpose(-1, -2)
        best = max(best, (_score(dct(means)[0, 0], tables.chroma, None), (2, 2), down, across))
    _, pool, down, across = best
    return replace(tables, pool=pool, top=-(top + down) % (8 * pool[0]), left=-(left + across) % (8 * pool[1]))


def _whole(x: Tensor, side: int) -> Tensor:
    """The part of an image that consists of whole blocks of ``side``×``side`` pixels."""
    return x[..., : x.shape[-2] // side * side, : x.shape[-1] // side * side]


def grid_of(y: Tensor) -> tuple[int, int]:
    """Row and column, 0 to 7, at which the grid of 8×8 blocks of ``y`` (1, 3, H, W) begins.

    It is where neighbors differ most, compared with the differences beside it.
    """
    down, across = (max(range(8), key=lambda k: sharper[k]) for sharper in _sharpness(y))
    return down, across


def blockiness(y: Tensor) -> float:
    """How much neighbors differ more at the ends of 8×8 blocks of ``y`` (1, 3, H, W) than beside them, 0 or more.

    It is a share of the mean difference, of the direction in which it is smaller: up to 0.09 in photos without
    compression, 0.08 to 0.46 at quality 50, and 0.4 to 2.1 at quality 10.
    """
    return min(max(sharper) for sharper in _sharpness(y))


def _sharpness(y: Tensor) -> list[list[float]]:
    """For rows and for columns, the excess of the mean difference of neighbors at each of 8 positions of the grid."""
    light, found = y.mean(1), []
    for steps in (light.diff(dim=-2).abs().mean((0, 2)), light.diff(dim=-1).abs().mean((0, 1))):
        sharper = steps[1:-1] - (steps[:-2] + steps[2:]) / 2  # entry k is the step from k + 1 to k + 2
        sharper = sharper / steps.mean().clamp(min=1e-6)
        found.append([float(sharper[(k - 2) % 8 :: 8].mean()) for k in range(8)])
    return found


def _unclipped(y: Tensor) -> Tensor:
    """A mask (rows, columns) of the 8×8 blocks without clipped values; clipping changes the decoder's output."""
    low, high = -F.max_pool2d(-y.amin(1), 8), F.max_pool2d(y.amax(1), 8)
    return ((low > _CLIPPED[0]) & (high < _CLIPPED[1]))[0]


def _score(coefficients: Tensor, steps: Tensor, telling: Tensor | None) -> float:
    """Mean log-likelihood ratio of quantized to continuous values, in nats per coefficient that is not near 0.

    Args:
        coefficients: (rows, columns, 8, 8), in units of 1/255.
        steps: quantization steps, (8, 8), in units of [0, 1].
        telling: mask (rows, columns) of the blocks to use; all if there are none.
    """
    total, count = 0.0, 0
    for u, v in _LOW:
        values = coefficients[..., u, v]
        values = values[telling] if telling is not None and bool(telling.any()) else values.flatten()
        step = 255 * float(steps[u, v])
        values = values[values.abs() > 2.5]
        rest = values - (values / step).round() * step
        density = torch.exp(-0.5 * (rest / _ROUNDING).square()) / (_ROUNDING * math.sqrt(2 * math.pi))
        total += float((0.95 * density * step + 0.05).log().sum())
        count += values.numel()
    return total / max(count, 200)
