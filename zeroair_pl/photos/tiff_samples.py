"""The samples of one TIFF page: each strip or tile is decoded, checked, and put in its place.

Numbers of tags and compressions are those of TIFF 6.0 and of libtiff's documentation. tifffile splits the strips, and
imagecodecs decompresses them. What these two cannot read is refused: other decoders guess the layout, and may mix up
planes.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.errors import InputError

if TYPE_CHECKING:
    import tifffile

Array = NDArray[Any]

JPEG = 7  # its decoder also converts YCbCr to RGB
# Only compressions whose decoding a test compares with the written pixels, and with a second decoder if there is one.
COMPRESSIONS = {
    1: "none",
    2: "CCITT RLE",
    3: "CCITT T.4",
    4: "CCITT T.6",
    5: "LZW",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
_WITH_PREDICTOR = (5, 8, 32946, 34925, 50000)  # libtiff ignores the tag for all others, and so do all viewers
_HORIZONTAL, _FLOATING_POINT = 2, 3
_ADVICE = "save it uncompressed, or with LZW or Deflate"


def read_samples(path: Path, page: tifffile.TiffPage) -> Array:
    """The samples of ``page`` as (H, W, S), of its sample type, not scaled. JPEG data in YCbCr come as RGB.

    Raises:
        InputError: the page cannot be decoded in full: its compression or predictor is unknown, a strip or tile is
            missing or short, or samples have another type than the tags say. The message names the compression.
    """
    _check_compression(path, page)
    _check_strips(path, page)
    planes, _, height, width, samples = page.shaped
    out = np.zeros((planes, height, width, samples), _plain(page.dtype))
    try:
        for segment, (plane, _, top, left, _), (_, rows, columns, _) in page.segments():
            if segment is None:
                raise InputError(f"{path}: truncated (a strip or tile has no data).")
            if _plain(segment.dtype) != out.dtype:
                raise InputError(
                    f"{path}: the {_name_of(page)} data hold {segment.dtype} samples where the tags say {page.dtype}; "
                    f"{_ADVICE}."
                )
            rows, columns = min(rows, height - top), min(columns, width - left)
            out[plane, top : top + rows, left : left + columns] = segment[0, :rows, :columns]
    except InputError:
        raise
    except ImportError as error:  # an imagecodecs that was built without this codec
        raise InputError(
            f"{path}: this installation cannot decode TIFF compression {_name_of(page)}; {_ADVICE}."
        ) from error
    except Exception as error:  # decoders raise nearly any exception for damaged bytes
        reason = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
        raise InputError(
            f"{path}: damaged or truncated, or compressed in an unusual way ({_name_of(page)}: {reason}); if other "
            f"programs show it, {_ADVICE}."
        ) from error
    return np.moveaxis(out[..., 0], 0, -1) if planes > 1 else out[0]


def _name_of(page: tifffile.TiffPage) -> str:
    """The compression in words, as in "LZW" or "34661 (JBIG)"."""
    code = int(page.compression)
    label = getattr(page.compression, "name", "")
    return COMPRESSIONS.get(code, f"{code} ({label})" if label else str(code))


def _check_compression(path: Path, page: tifffile.TiffPage) -> None:
    """Raises InputError for a compression that is unknown, or that is not tested with such a predictor or channels.

    A predictor that the compression ignores is removed from the page.
    """
    code, predictor, bits = int(page.compression), int(page.predictor), page.bitspersample
    if code not in COMPRESSIONS:
        raise InputError(f"{path}: TIFF compression {_name_of(page)} is not supported; {_ADVICE}.")
    if code not in _WITH_PREDICTOR:
        page.predictor = predictor = 1
    is_float = page.dtype is not None and page.dtype.kind == "f"
    known = {1: True, _HORIZONTAL: bits in (8, 16, 32, 64), _FLOATING_POINT: is_float}.get(predictor, False)
    if not known:
        what = f"TIFF predictor {predictor} with {bits}-bit samples"
        raise InputError(f"{path}: {what} is not supported; {_ADVICE}, without predictor.")
    planes_of_chroma = page.planarconfig == 2 and int(page.photometric) == 6
    if code == JPEG and (page.extrasamples or planes_of_chroma or bits != 8):
        what = f"{page.samplesperpixel} such channels of {bits} bits"
        raise InputError(f"{path}: {_name_of(page)} compression of {what} is not supported; {_ADVICE}.")


def _check_strips(path: Path, page: tifffile.TiffPage) -> None:
    """Raises InputError if strips or tiles are missing from the page's list; a decoder would leave them undefined."""
    if page.is_tiled:
        across, down = ceil(page.imagewidth / page.tilewidth), ceil(page.imagelength / page.tilelength)
    else:
        across, down = 1, ceil(page.imagelength / max(page.rowsperstrip, 1))
    wanted = across * down * (page.samplesperpixel if page.planarconfig == 2 else 1)
    there = min(len(page.dataoffsets), len(page.databytecounts))
    if there < wanted:
        raise InputError(f"{path}: truncated ({there} of {wanted} strips or tiles).")


def _plain(dtype: Any) -> np.dtype[Any]:
    """The type, with uint8 for bool: decoders return samples of one bit as either."""
    return np.dtype(np.uint8) if np.dtype(dtype) == bool else np.dtype(dtype)
