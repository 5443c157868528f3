"""The channels of a TIFF besides its colors: straight or premultiplied alpha, and others, which are kept as they are.

The tag ExtraSamples says what each is (TIFF 6.0, section 18): 0 unspecified (photo editors save masks and spot colors
so), 1 premultiplied alpha, 2 straight alpha.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.errors import InputError
from zeroair_pl.photos.photo import Photo, as_stored

if TYPE_CHECKING:
    import tifffile

Array = NDArray[Any]

EXTRA_SAMPLES = 338  # the tag
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2
_FAINTEST = 1e-4  # float alpha below it is invisible; colors divided by it would be noise


def channels_of(path: Path, page: tifffile.TiffPage, count: int) -> tuple[int, ...]:
    """The meaning of each of the ``count`` channels besides the colors.

    A single channel without a description is alpha, as in viewers. Raises InputError if several have none.
    """
    kinds = tuple(int(kind) for kind in page.extrasamples) if EXTRA_SAMPLES in page.tags else ()
    if len(kinds) != count:
        if kinds or count > 1:
            raise InputError(
                f"{path}: {count} channels besides the colors, of which its tag ExtraSamples describes {len(kinds)}; "
                "save it as RGB."
            )
        kinds = (STRAIGHT,) * count
    return tuple(kind if kind in (PREMULTIPLIED, STRAIGHT) else UNSPECIFIED for kind in kinds)


def alpha_at(space: str, kinds: tuple[int, ...]) -> int | None:
    """Index of the alpha channel, the first that is described as one. CMYK has none: viewers disagree."""
    return next((i for i, kind in enumerate(kinds) if kind != UNSPECIFIED and space != "cmyk"), None)


def split_alpha(space: str, color: Array, others: Array, kinds: tuple[int, ...]) -> tuple[Array, Array | None, Array]:
    """(straight color, alpha (H, W) or None, the others (H, W, N)) of channels in file order."""
    at = alpha_at(space, kinds)
    if at is None:
        return color, None, others
    alpha, others = others[..., at], np.delete(others, at, 2)
    if kinds[at] == PREMULTIPLIED:
        if color.dtype.kind == "u":
            top = np.iinfo(color.dtype).max
            share = np.maximum(alpha, 1)[..., None] / top
            color = np.minimum(np.rint(color / share), top).astype(color.dtype)
        else:
            seen = (alpha > _FAINTEST)[..., None]
            color = np.where(seen, color / np.where(seen, alpha[..., None], 1), 0).astype(color.dtype)
    return color, alpha, others


def join_channels(photo: Photo, color: Array) -> tuple[Array, tuple[int, ...]]:
    """The reverse: all samples of the file (H, W, S) in stored layout, and its ExtraSamples."""
    if photo.alpha is None and photo.others is None:
        return color, ()
    kinds = photo.channels or (STRAIGHT,)
    at = alpha_at(photo.space, kinds)
    parts = [] if photo.others is None else list(np.moveaxis(as_stored(photo.others, photo.orientation), 2, 0))
    if at is not None:
        assert photo.alpha is not None
        alpha = as_stored(photo.alpha, photo.orientation)
        parts.insert(at, alpha)
        if kinds[at] == PREMULTIPLIED:
            product = color.astype(np.float64) * alpha[..., None]
            if color.dtype.kind == "u":
                product = np.rint(product / np.iinfo(color.dtype).max)
            color = product.astype(color.dtype)
    return np.dstack([color, *parts]), kinds
