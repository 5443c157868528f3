"""Restores only a part of a photo, which a mask and its transparency define. Pixels outside of it stay as they are.

A fit works on a view: a window of the photo with all pixels whose weight w is above 0. In it, every pixel of weight 0
is replaced by a pixel from inside, mirrored at the nearest edge of the mask. So texture and noise continue, and no
value from outside can reach a statistic, a loss, a discriminator or the prior. The restored view x and the photo y are
then mixed:

    y + w·(x − y),

which is exactly y where w = 0, and x where w = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.sizes import as_large_as

ALIGNED = 32  # px; a window begins at a multiple, so that the blocks of a JPEG and of its chroma stay whole
LEAST = 64  # px, the least side of a window, if the photo is as large
_FOLDS = 8  # how often a place is mirrored at most, until it lies inside a narrow mask


def weights(photo: Photo) -> Tensor | None:
    """w, (1, H, W) in [0, 1], from the photo's side information ``mask`` and its alpha; ``None`` if it is 1 everywhere.

    Fully transparent pixels have the weight 0, since their color is not visible.
    """
    weight: Tensor | None = photo.side.get("mask")
    weight = None if weight is None else weight[0]
    if photo.alpha is not None and not photo.alpha.all():
        seen = torch.from_numpy(photo.alpha != 0)[None].float()
        weight = seen if weight is None else weight * seen
    return None if weight is None or bool((weight == 1).all()) else weight


@dataclass(frozen=True, eq=False)
class View:
    """The part of a photo that a fit works on.

    Attributes:
        weight: w of the whole photo, (1, H, W) in [0, 1].
        rows, columns: place of the window in it.
        photo: the window as a photo, with its pixels outside of the mask replaced; its side information is cut to it.
    """

    whole: Photo
    weight: Tensor
    rows: slice
    columns: slice
    photo: Photo

    def over(self, restored: Tensor) -> Tensor:
        """The photo with the restored window mixed in by w.

        Args:
            restored: (1, 3, s·h, s·w) for a window of h × w pixels and a whole factor s.

        Returns:
            (1, 3, s·H, s·W).

        Raises:
            InputError: s is not a whole number.
        """
        window = self.photo.size
        scale = restored.shape[-2] // window[0]
        if tuple(restored.shape[-2:]) != (scale * window[0], scale * window[1]):
            raise InputError(
                "mask: goes with results of the photo's size, or of a multiple; here "
                f"{restored.shape[-1]}x{restored.shape[-2]} px are made of {window[1]}x{window[0]}."
            )
        height, width = self.whole.size
        out = as_large_as(self.whole.pixels[None], (scale * height, scale * width)).clone()
        weight = weight_of_size(self.weight, (scale * height, scale * width))[None]
        rows, columns = (slice(scale * each.start, scale * each.stop) for each in (self.rows, self.columns))
        under, share = out[..., rows, columns], weight[..., rows, columns]
        out[..., rows, columns] = torch.where(share > 0, torch.lerp(under, restored, share), under)
        return out

    def maps(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Maps (1, C, h, w) of the window as maps (1, C, H, W) of the photo, 0 outside; numbers stay as they are."""
        out = dict(found)
        for name, values in found.items():
            if values.shape[-2:] == self.photo.size:
                out[name] = values.new_zeros(*values.shape[:-2], *self.whole.size)
                out[name][..., self.rows, self.columns] = values
        return out


def weight_of_size(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """w (1, H, W) resized by the nearest pixel to ``size`` (height, width). No new values appear, so 0 stays 0."""
    return weight if tuple(weight.shape[-2:]) == tuple(size) else F.interpolate(weight[None], size, mode="nearest")[0]


def view_of(photo: Photo) -> View | None:
    """The view of a photo; ``None`` if all of the photo is restored.

    A photo that is fully transparent, without a mask, has a view of gray pixels. Raises InputError if a mask leaves no
    pixel to work on.
    """
    weight = weights(photo)
    if weight is None:
        return None
    inside = (weight[0] > 0).numpy()
    empty = not inside.any()
    if empty and "mask" in photo.side:
        raise InputError("mask: nothing is left to work on; what is white in it is transparent in the photo.")
    rows, columns = _window(np.any(inside, axis=1)), _window(np.any(inside, axis=0))
    inside = inside[rows, columns]
    source = None if empty else _mirrored(inside)

    def filled(values: Tensor) -> Tensor:
        values = values[..., rows, columns]
        if empty:  # fully transparent: the fit works on gray, and the photo stays as it is
            return torch.full_like(values, 0.5)
        return values if source is None else values[..., source[0], source[1]]

    def of_window(value: Any) -> Any:
        maps = isinstance(value, Tensor) and value.ndim == 4 and value.shape[-2:] == photo.size
        return filled(value) if maps else value

    side = {name: of_window(value) for name, value in photo.side.items() if name != "mask"}
    window = replace(photo, pixels=filled(photo.pixels), alpha=None, others=None, beyond=None, side=side)
    return View(photo, weight, rows, columns, window)


def _window(used: Any) -> slice:
    """The shortest allowed part of a side with all rows or columns that are ``used``; at least ``LEAST`` pixels."""
    places, length = np.flatnonzero(used), len(used)
    first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
    missing = max(0, min(LEAST, length) - (last - first))
    first = max(0, first - missing // 2) // ALIGNED * ALIGNED
    last = min(length, max(last, first + min(LEAST, length)))
    return slice(min(first, max(0, last - LEAST)) // ALIGNED * ALIGNED, last)


def _mirrored(inside: NDArray[np.bool_]) -> tuple[Tensor, Tensor] | None:
    """Rows and columns (h, w) of the pixels that replace those not ``inside`` (h, w); ``None`` if none is replaced."""
    if inside.all():
        return None
    import cv2

    # The label of a pixel tells which pixel inside is nearest.
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    shape = np.array(inside.shape)
    places = np.zeros((int(labels.max()) + 1, 2), np.int64)
    places[labels[inside]] = np.argwhere(inside)
    nearest = places[labels]
    outside = np.argwhere(~inside)
    edge = nearest[~inside]
    found = 2 * edge - outside
    for _ in range(_FOLDS):
        found = np.abs(found)
        found = np.clip(np.where(found >= shape, 2 * (shape - 1) - found, found), 0, shape - 1)
        beyond = ~inside[found[:, 0], found[:, 1]]
        if not beyond.any():
            break
        again = found[beyond]
        found[beyond] = 2 * nearest[again[:, 0], again[:, 1]] - again
    found = np.clip(found, 0, shape - 1)
    beyond = ~inside[found[:, 0], found[:, 1]]
    found[beyond] = edge[beyond]
    source: NDArray[np.int64] = np.indices(inside.shape)
    source[:, ~inside] = found.T
    return torch.from_numpy(source[0]), torch.from_numpy(source[1])
