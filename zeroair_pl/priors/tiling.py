"""Large images in overlapping tiles, whose clean estimates are blended into one image.

    x0 = Σ_ij u_i(row)·v_j(column)·x0_ij,    Σ_i u_i = Σ_j v_j = 1 at each pixel

The weights are products of a weight for the row and one for the column, so they sum to 1 without a division. They rise
and fall as sin² over the overlap, so that weight and slope are smallest at a tile's edge.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, product
from math import isqrt, pi
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.tensors.memory import is_out_of_memory, release

SIDE = 896  # px, default tiles of networks that take any size; larger ones save little time
OVERLAP = 64  # px, largest default overlap; with 96, the bundled prior is no nearer to its estimate of the whole photo
LEAST_SIDE = 64  # px, smallest tile after memory has run out
LEAST_PIXELS = LEAST_SIDE**2

Place = tuple[int, tuple[slice, Tensor], tuple[slice, Tensor]]  # image index; rows and columns of a tile, with weights


class Tiling:
    """The positions of the tiles of an image, and their blending.

    All tiles of an image have the same size. They are spread evenly, so that the last ones end at the image's edge, and
    are as small as their number allows, unless the network was trained on one size. They begin at multiples of
    ``multiple``, so that strides and blocks of the network are on the same pixels in all tiles.

    Args:
        tile: largest side in pixels, a multiple of ``multiple``. ``None`` means the trained size if there is one;
            otherwise images up to ``pixels_at_once`` stay whole, and larger ones have tiles of at most 768.
        overlap: least overlap of neighboring tiles in pixels, as far as their starts allow it; ``None`` means a quarter
            of the tile, at most 64.
        pixels_at_once: number of pixels that the network computes at once; a single tile may be larger.
        multiple: height and width of the network's input must be multiples of this.
        trained: side in pixels of the training images of a network with attention; smaller images are padded up to
            ``least``. ``None`` for a network that takes any size.

    Attributes:
        side: largest side of a tile, in pixels.
        least: smallest side of the network's input, in pixels.
        images_at_once: largest number of whole images that the network computes at once.

    Raises:
        ConfigError: the tile is not a multiple of ``multiple``, the overlap is not smaller than the tile, or
            ``pixels_at_once`` is too small.
    """

    def __init__(
        self, tile: int | None, overlap: int | None, pixels_at_once: int, multiple: int = 1, trained: int | None = None
    ) -> None:
        if pixels_at_once < LEAST_PIXELS:
            raise ConfigError(f"prior.pixels_at_once is {pixels_at_once}, expected at least {LEAST_PIXELS}")
        if tile is not None and (tile < 1 or tile % multiple):
            below = max(tile, 0) // multiple * multiple
            near = " or ".join(str(size) for size in (below, below + multiple) if size)
            raise ConfigError(f"prior.tile is {tile}, expected a positive multiple of {multiple}, such as {near}")
        if trained is not None:
            trained = -(-trained // multiple) * multiple
        automatic = min(SIDE, isqrt(pixels_at_once)) // multiple * multiple or multiple
        self.side = tile or trained or automatic
        if overlap is not None and not 0 <= overlap < self.side:
            raise ConfigError(f"prior.overlap is {overlap}, expected 0 to {self.side - 1}: the tile has {self.side}")
        overlap = min(self.side // 4, OVERLAP) if overlap is None else overlap
        self.overlap = min(-(-overlap // multiple) * multiple, self.side - multiple)
        self.multiple, self.pixels_at_once = multiple, pixels_at_once
        self.images_at_once = sys.maxsize
        self.least = min(self.side, trained or 1)
        self._any_size = trained is None
        self._asked = (tile, overlap, trained)
        self._stays_whole = pixels_at_once if tile is None and trained is None else 0

    def predict(
        self,
        function: Callable[[Tensor, Tensor], Sequence[Tensor]],
        x: Tensor,
        t: Tensor,
    ) -> list[Tensor]:
        """Applies ``function`` to images (B, C, H, W) at timesteps (B,), in tiles if the images are large.

        Only ``x`` and the blended outputs have the full size. On a CPU, images and tiles are computed one at a time, so
        that an image's result is the same in any batch. Other devices compute several at once, to save time.

        Args:
            function: maps images and timesteps to a list of images of the same height and width.
        """
        height, width = x.shape[-2:]
        if self.whole(height, width):
            size = 1 if x.device.type == "cpu" else self.seen_at_once(x)
            parts = [function(*part) for part in zip(x.split(size), t.split(size), strict=True)]
            return list(parts[0]) if len(parts) == 1 else [torch.cat(each) for each in zip(*parts, strict=True)]
        outputs: list[Tensor] = []
        for group in self._groups(x):
            tiles = torch.cat([x[i : i + 1, :, rows, columns] for i, (rows, _), (columns, _) in group])
            found = function(tiles, t[[i for i, *_ in group]])
            outputs = outputs or [each.new_zeros(len(x), each.shape[1], height, width) for each in found]
            for output, pieces in zip(outputs, found, strict=True):
                for piece, (i, (rows, u), (columns, v)) in zip(pieces, group, strict=True):
                    output[i, :, rows, columns].addcmul_(piece, u.to(piece)[:, None] * v.to(piece))
        return outputs

    def whole(self, height: int, width: int) -> bool:
        """Whether the network gets an image of this size whole."""
        return max(height, width) <= self.side or height * width <= self._stays_whole

    def seen_at_once(self, x: Tensor) -> int:
        """Largest number of whole images of a batch (B, C, H, W) that the network computes at once."""
        height, width = x.shape[-2:]
        if not self.whole(height, width):
            return 1
        return min(len(x), self.images_at_once, max(1, self.pixels_at_once // (height * width)))

    def smaller(self, images: int = 1) -> Tiling | None:
        """A tiling that needs less memory; ``None`` if there is none.

        If ``images`` whole images did not fit, it computes half as many at once. Otherwise it computes a quarter of the
        pixels at once, in tiles of half the side if the network allows it.
        """
        if images > 1:
            fewer = copy.copy(self)
            fewer.images_at_once = images // 2
            return fewer
        tile, overlap, trained = self._asked
        if self._any_size:
            side = (tile or self.side) // 2 // self.multiple * self.multiple
            if side < LEAST_SIDE:
                return None
            tile = tile and side
            overlap = overlap and min(overlap, side // 4)
        elif self.pixels_at_once < 2 * self.side**2:
            return None
        return Tiling(tile, overlap, max(self.pixels_at_once // 4, LEAST_PIXELS), self.multiple, trained)

    def at_once(self, device: torch.device) -> int:
        """Number of tiles that the network computes at once on this device."""
        return 1 if device.type == "cpu" else max(1, self.pixels_at_once // self.side**2)

    def spans(self, length: int) -> list[slice]:
        """The pixels of each tile along ``length``. The last tile may be shorter; it is padded later."""
        whole, side, overlap = (-(-pixels // self.multiple) for pixels in (length, self.side, self.overlap))
        if whole <= side:
            return [slice(0, length)]
        gaps = -(-(whole - side) // (side - overlap))
        if self._any_size:  # the smallest size for this number of tiles
            side = -(-(whole + gaps * overlap) // (gaps + 1))
        starts = [i * (whole - side) // gaps * self.multiple for i in range(gaps + 1)]
        return [slice(start, min(start + side * self.multiple, length)) for start in starts]

    def windows(self, length: int) -> list[tuple[slice, Tensor]]:
        """The pixels of each tile along ``length``, and their weights, which sum to 1 at each pixel."""
        spans = self.spans(length)
        weights = []
        for i, span in enumerate(spans):
            weight = torch.ones(span.stop - span.start, dtype=torch.float64)
            if i > 0:
                rise = _rise(spans[i - 1].stop - span.start)
                weight[: len(rise)] *= rise
            if i + 1 < len(spans):
                rise = _rise(span.stop - spans[i + 1].start)
                weight[len(weight) - len(rise) :] *= rise.flip(0)
            weights.append(weight)
        total = torch.zeros(length, dtype=torch.float64)
        for span, weight in zip(spans, weights, strict=True):
            total[span] += weight
        return [(span, weight / total[span]) for span, weight in zip(spans, weights, strict=True)]

    def _groups(self, x: Tensor) -> Iterator[list[Place]]:
        """Groups of tiles that the network computes at once; all tiles of a group have one size."""
        at_once = self.at_once(x.device)
        places = list(product(range(len(x)), self.windows(x.shape[-2]), self.windows(x.shape[-1])))
        for _, same in groupby(sorted(places, key=_size), key=_size):
            equal = list(same)
            yield from (equal[i : i + at_once] for i in range(0, len(equal), at_once))


def within_memory(
    prior: Any, function: Callable[[Tensor, Tensor], Sequence[Tensor]], x: Tensor, t: Tensor
) -> list[Tensor]:
    """``prior.tiling.predict``; if memory runs out, it tries again with a smaller tiling, which the prior keeps."""
    while True:
        try:
            found: list[Tensor] = prior.tiling.predict(function, x, t)
            return found
        except Exception as error:
            smaller = prior.tiling.smaller(prior.tiling.seen_at_once(x)) if is_out_of_memory(error) else None
            if smaller is None:
                raise
        release()
        prior.tiling = smaller


def padded(x: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Pads images (B, C, H, W) by reflection to multiples of ``multiple``, at least to ``least``.

    Reflection adds no artificial edges.
    """
    for dim in (-2, -1):
        length = x.shape[dim]
        wanted = -(-max(length, least) // multiple) * multiple
        if wanted > length:
            x = x.index_select(dim, reflected(length, wanted).to(x.device))
    return x


def reflected(length: int, padded: int) -> Tensor:
    """Indices 0 … length − 1, then back, and so on, (padded,). Unlike in ``F.pad``, the result may have any length."""
    return length - 1 - (torch.arange(padded).remainder(max(1, 2 * length - 2)) - (length - 1)).abs()


def trained_size(unet: Any, stem: int) -> int | None:
    """Side in pixels of a network's training images if it has attention, which needs this size; else ``None``."""
    from diffusers.models.attention_processor import Attention

    size = unet.config.get("sample_size")
    if size is None or not any(isinstance(module, Attention) for module in unet.modules()):
        return None
    return stem * (size if isinstance(size, int) else min(size))


def _rise(length: int) -> Tensor:
    """sin² from 0 to 1, (length,), without 0 and 1 themselves: a pixel needs a weight above 0."""
    return torch.sin((torch.arange(length, dtype=torch.float64) + 0.5) * (pi / 2 / max(1, length))).square()


def _size(place: Place) -> tuple[int, int]:
    _, (_, rows), (_, columns) = place
    return len(rows), len(columns)
