"""Pictures that are sent to the page and back as data URIs, so that no files are needed for them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from zeroair_pl.tensors.drawing import data_uri, photo

SIDE = 1600  # pixels of the longer side of a picture in the page; the download has the full size
SMALL = 96  # pixels of the longer side of a thumbnail
_LONGEST = 20_000_000  # the most characters of a mask from the page


def picture(pixels: Tensor, side: int = SIDE, quality: int = 92) -> str:
    """Pixels (3, H, W) in [0, 1] as a data URI of at most ``side`` pixels a side."""
    shown = photo(pixels, min(side, pixels.shape[-2]), min(side, pixels.shape[-1]))
    return data_uri(shown, "JPEG", quality=quality, subsampling=0)


def thumbnail(path: Path) -> str:
    """A small picture of a file as a data URI; empty if Pillow cannot read the file."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * SMALL, 2 * SMALL))  # a JPEG is decoded at a fraction of its size
            small = ImageOps.exif_transpose(image)
            small.thumbnail((SMALL, SMALL))
            return data_uri(small.convert("RGB"), "JPEG", quality=80)
    except Exception:  # decoders raise many types for damaged files; opening the photo reports the error
        return ""


def painted(uri: str) -> NDArray[np.bool_] | None:
    """The mask that the canvas sent: (h, w), True where the brush was; at most ``SIDE`` a side.

    ``None`` if the data URI is not a PNG, or is too large.
    """
    head, _, data = str(uri).partition(",")
    if head != "data:image/png;base64" or len(data) > _LONGEST:
        return None
    try:
        image = Image.open(io.BytesIO(base64.b64decode(data)), formats=["PNG"])
        if max(image.size) > SIDE:
            return None
        return np.asarray(image.convert("RGBA"))[..., 3] > 127
    except (OSError, ValueError):
        return None
