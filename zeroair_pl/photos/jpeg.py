"""The compression of a JPEG file: quantization tables, chroma subsampling, and where its blocks begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, eq=False)
class JpegFile:
    """The compression of one photo, as its upright pixels show it.

    Attributes:
        luma, chroma: (8, 8) quantization steps in units of 1/255; rows are vertical frequencies. Equal for a gray file.
        pool: (down, across), luma samples for each sample of chroma.
        top, left: rows and columns of the first block that lie outside the photo. Blocks at the end of the stored photo
            may be cut, and a rotation may have moved that end to the start.
    """

    luma: NDArray[np.float32]
    chroma: NDArray[np.float32]
    pool: tuple[int, int] = (1, 1)
    top: int = 0
    left: int = 0


def jpeg_file(image: Image.Image, orientation: int) -> JpegFile | None:
    """The compression of an open JPEG; ``None`` for CMYK, or if it is unknown.

    Args:
        orientation: EXIF 1..8, by which the pixels are turned upright.
    """
    tables: Any = getattr(image, "quantization", None)
    layers: Any = getattr(image, "layer", None)
    if not tables or not layers or image.mode not in ("L", "RGB"):
        return None
    try:
        steps = [np.array(tables[layer[3]], np.float32).reshape(8, 8) for layer in layers]
        sampling = [(layer[2], layer[1]) for layer in layers]  # (down, across)
    except (KeyError, IndexError, ValueError):
        return None
    luma, chroma = steps[0], steps[-1]
    down, across = sampling[0][0] // sampling[-1][0] or 1, sampling[0][1] // sampling[-1][1] or 1
    height, width = image.size[1], image.size[0]
    cut_down, cut_across = (-height) % (8 * down), (-width) % (8 * across)
    top = cut_down if orientation in (3, 4) else 0
    left = cut_across if orientation in (2, 3) else 0
    if orientation >= 5:  # rows and columns change places
        luma, chroma, down, across = luma.T, chroma.T, across, down
        top = cut_across if orientation in (7, 8) else 0
        left = cut_down if orientation in (6, 7) else 0
    return JpegFile(luma.copy(), chroma.copy(), (down, across), top, left)
