"""TIFF's YCbCr where it is not JPEG that compresses it: chroma put back to full size, and converted to RGB.

From TIFF 6.0, section 21.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.errors import InputError
from zeroair_pl.photos.tiff_samples import check_compression, check_strips, name_of, read_samples, undecodable

if TYPE_CHECKING:
    import tifffile

Array = NDArray[Any]

_COEFFICIENTS, _SUBSAMPLING, _REFERENCE = 529, 530, 532  # tags
_LOSSLESS = (1, 5, 8, 32773, 32946, 34925, 50000)  # compressions of bytes, which leave colors alone
_RATIONAL_DEFAULTS = {
    _COEFFICIENTS: (299, 1000, 587, 1000, 114, 1000),
    _REFERENCE: (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1),
}


def read_ycbcr(path: Path, page: tifffile.TiffPage) -> Array:
    """A YCbCr page as RGB, (H, W, 3) uint8. Chroma pixels are repeated, as libtiff does it.

    Raises InputError for more than three channels, other than 8 bits, and what ``read_samples`` refuses.
    """
    if page.samplesperpixel != 3 or page.bitspersample != 8:
        what = f"YCbCr with {page.samplesperpixel} channels of {page.bitspersample} bits"
        raise InputError(f"{path}: {what} is not supported; save it as RGB.")
    if page.compression not in _LOSSLESS:
        raise InputError(f"{path}: YCbCr in {name_of(page)} compression is not supported; save it as RGB.")
    across, down = page.tags[_SUBSAMPLING].value if _SUBSAMPLING in page.tags else (2, 2)
    if (across, down) == (1, 1):
        page.subsampling = (1, 1)
        return _to_rgb(path, page, read_samples(path, page))
    if across not in (1, 2, 4) or down not in (1, 2, 4) or page.is_tiled or page.planarconfig == 2:
        raise InputError(f"{path}: YCbCr with chroma subsampling {across}x{down} is not supported; save it as RGB.")
    return _to_rgb(path, page, _subsampled(path, page, across, down))


def _subsampled(path: Path, page: tifffile.TiffPage, across: int, down: int) -> Array:
    """Strips of blocks: ``across * down`` of Y, then one Cb and one Cr."""
    import imagecodecs
    from tifffile import TIFF

    check_compression(path, page)
    check_strips(path, page)
    if page.predictor != 1:
        raise InputError(f"{path}: YCbCr with a predictor is not supported; save it as RGB.")
    height, width = page.imagelength, page.imagewidth
    out = np.zeros((height, width, 3), np.uint8)
    block = across * down + 2
    file = page.parent.filehandle
    for number, (start, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
        top = number * page.rowsperstrip
        rows = min(page.rowsperstrip, height - top)
        if rows <= 0:
            break
        blocks_down, blocks_across = -(-rows // down), -(-width // across)
        size = blocks_down * blocks_across * block
        file.seek(start)
        data: Any = file.read(count)
        try:
            if page.fillorder == 2:
                data = imagecodecs.bitorder_decode(data)
            if page.compression != 1:
                data = TIFF.DECOMPRESSORS[int(page.compression)](data, out=size)
            units = np.frombuffer(data, np.uint8)[:size].reshape(blocks_down, blocks_across, block)
        except Exception as error:
            raise undecodable(path, page, error) from error
        luma = units[..., :-2].reshape(blocks_down, blocks_across, down, across).swapaxes(1, 2)
        out[top : top + rows, :, 0] = luma.reshape(blocks_down * down, -1)[:rows, :width]
        for channel in (1, 2):
            chroma = units[..., channel - 3].repeat(down, 0).repeat(across, 1)
            out[top : top + rows, :, channel] = chroma[:rows, :width]
    return out


def _to_rgb(path: Path, page: tifffile.TiffPage, ycbcr: Array) -> Array:
    red, green, blue = _rationals(page, _COEFFICIENTS)
    black = _rationals(page, _REFERENCE)
    if not all(np.isfinite([red, green, blue, *black])) or green == 0 or len(black) != 6:
        raise InputError(f"{path}: damaged (its YCbCr coefficients).")
    spans = [max(white - low, 1.0) for low, white in zip(black[::2], black[1::2], strict=True)]
    values = ycbcr.astype(np.float32)
    y, cb, cr = ((values[..., i] - black[2 * i]) * ((255 if i == 0 else 127) / spans[i]) for i in range(3))
    r = y + cr * (2 - 2 * red)
    b = y + cb * (2 - 2 * blue)
    g = (y - red * r - blue * b) / green
    return np.rint(np.clip(np.stack([r, g, b], -1), 0, 255)).astype(np.uint8)


def _rationals(page: tifffile.TiffPage, tag: int) -> list[float]:
    value = page.tags[tag].value if tag in page.tags else _RATIONAL_DEFAULTS[tag]
    return [n / d if d else float("nan") for n, d in zip(value[::2], value[1::2], strict=True)]
