"""Reads and writes TIFF: the meaning of the samples, and restored samples with the same meaning."""

from __future__ import annotations

import io
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zeroair_pl.errors import InputError
from zeroair_pl.photos import raw
from zeroair_pl.photos.photo import MIN_SIDE, ORIENTATION, Array, Photo, Space, build, check_size, to_rgb
from zeroair_pl.photos.tiff_channels import channels_of, join_channels, split_alpha
from zeroair_pl.photos.tiff_metadata import read_metadata, with_metadata
from zeroair_pl.photos.tiff_samples import JPEG, read_samples
from zeroair_pl.photos.value_range import white_of

if TYPE_CHECKING:
    import tifffile

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its findings reach the user as an InputError
PHOTOMETRIC, MAX_SAMPLE, INK_SET = 262, 281, 332  # tags
_NOT_A_PHOTO = 1 | 4  # bits of NewSubfileType: this page is a small copy of another, or its mask


def read_tiff(path: Path, file: IO[bytes], min_side: int = MIN_SIDE) -> Photo:
    """The photo in a TIFF: gray, RGB or palette with or without alpha, CMYK of 8 bits; uint8, uint16 or float samples.

    ``value_range`` says which value is white (``Photo.white``); float values below 0 and above white are kept. A camera
    raw file is developed, see ``raw``.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        if kind := raw.kind_of_tiff(path, tiff):
            return raw.develop(path, file, kind, *read_metadata(file, tiff.pages.first, 1))
        page = _page(path, tiff)
        check_size(path, page.imagewidth, page.imagelength, min_side)
        if page.imagedepth > 1:
            raise InputError(f"{path}: a volume of {page.imagedepth} slices; only single photos are restored.")
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > file.seek(0, os.SEEK_END):  # decoders would fill the missing part with black
            raise InputError(f"{path}: truncated.")
        if page.sampleformat == 2:
            raise InputError(f"{path}: signed samples are not supported; save it with 8 or 16 bits or as float.")
        orientation = int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else 1
        orientation = orientation if orientation in range(1, 9) else 1
        space, color, others = _colors(path, page)
        kinds = channels_of(path, page, others.shape[2])
        color, alpha, others = split_alpha(space, color, others, kinds)
        if color.dtype.kind == "f" and not np.isfinite(color).all():
            raise InputError(f"{path}: holds NaN or infinite values.")
        white = white_of(color, _largest_stated(page))
        exif, metadata = read_metadata(file, page, orientation)
        if (others_than_this := len(tiff.pages) - 1) > 0:
            pages = f"{others_than_this} further page{'s' if others_than_this > 1 else ''} (thumbnails or masks)"
            metadata = replace(metadata, lost=(*metadata.lost, pages))
        return build(color, alpha, others if others.size else None, channels=kinds, format="TIFF", space=space,
                     orientation=orientation, white=white, exif=exif, metadata=metadata,
                     icc_profile=page.iccprofile or None, dpi=_resolution(page))  # fmt: skip


def write_tiff(photo: Photo, color: Array) -> bytes:
    """A Deflate-compressed TIFF, as bytes; ``color`` is in stored layout, (H, W, 1, 3 or 4 inks)."""
    import tifffile

    tags: list[tuple[int, str, int, Any, bool]] = [(ORIENTATION, "H", 1, photo.orientation, True)]
    if photo.white is not None and color.dtype == np.uint16:
        largest = (int(photo.white),) * (color.shape[2] + len(photo.channels))
        tags.append((MAX_SAMPLE, "H", len(largest), largest if len(largest) > 1 else largest[0], True))
    array, kinds = join_channels(photo, color)
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        array[..., 0] if array.shape[2] == 1 else array,
        photometric={"gray": "minisblack", "rgb": "rgb", "cmyk": "separated"}[photo.space],
        planarconfig="contig" if array.shape[2] > 1 else None,
        extrasamples=list(kinds) or None,
        compression="zlib",
        predictor=array.dtype.kind == "u",
        iccprofile=photo.icc_profile,
        resolution=photo.dpi,
        resolutionunit="INCH" if photo.dpi else None,
        extratags=tags,
        metadata=None,
        software=False,
    )
    return with_metadata(out.getvalue(), photo.exif, photo.metadata)


def _colors(path: Path, page: tifffile.TiffPage) -> tuple[Space, Array, Array]:
    """The page's color space, its colors (H, W, 1 or 3) and its other channels (H, W, N), in uint8, uint16 or float."""
    kind, samples, bits = int(page.photometric), page.samplesperpixel, page.bitspersample
    if PHOTOMETRIC not in page.tags and page.compression != JPEG:  # as libtiff guesses
        kind = 2 if samples >= 3 else 1
    if kind in (8, 9, 10) or (kind == 6 and page.compression != JPEG):
        what = "YCbCr" if kind == 6 else "LAB"
        raise InputError(f"{path}: pixels of the kind {what!r} are not supported; save it as RGB.")
    dtype = np.dtype(page.dtype or "V")
    is_float = dtype.name in ("float16", "float32", "float64") and bits == dtype.itemsize * 8
    if not is_float and not (dtype.kind in "bu" and dtype.itemsize <= 2 and bits in range(1, 17)):
        raise InputError(f"{path}: {bits}-bit samples are not supported; save it with 8 or 16 bits.")
    colors = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}.get(kind, 0)
    odd_inks = kind == 5 and INK_SET in page.tags and page.tags[INK_SET].value != 1
    if not colors or samples < colors or odd_inks or (kind in (3, 5, 6) and (is_float or bits > 8)):
        what = f"{samples} channels of {bits} bits with TIFF's photometric {kind}"
        raise InputError(f"{path}: {what} are not supported; save it as RGB.")
    array = read_samples(path, page)
    color, others = array[..., :colors], _full_range(array[..., colors:], bits)
    if kind == 3:
        return "rgb", _palette(path, page)[color[..., 0]], others
    color = _full_range(color, bits)
    if kind == 0:  # white is zero
        color = (np.iinfo(color.dtype).max if color.dtype.kind == "u" else 1) - color
    if kind == 5:
        inks = Image.frombytes("CMYK", (page.imagewidth, page.imagelength), np.ascontiguousarray(color).tobytes())
        return "cmyk", np.asarray(to_rgb(inks, page.iccprofile or None)), others
    return "gray" if colors == 1 else "rgb", color, others


def _full_range(array: Array, bits: int) -> Array:
    """Samples of 1 to 7 bits on the scale of 8, and of 9 to 15 on that of 16; others stay as they are."""
    if array.dtype.kind != "u" or bits in (8, 16):
        return array
    top = np.iinfo(array.dtype).max
    table = np.rint(np.arange(2**bits) * (top / (2**bits - 1))).astype(array.dtype)
    return table[array]


def _palette(path: Path, page: tifffile.TiffPage) -> Array:
    table = page.colormap
    if table is None or table.shape != (3, 2**page.bitspersample):
        raise InputError(f"{path}: damaged (its palette is missing or of another size than its pixels need).")
    return (table >> 8 if table.max() > 255 else table).T.astype(np.uint8)  # some programs write 8-bit values there


def _page(path: Path, tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """The only page that is not a thumbnail."""
    pages = raw.pages_of(tiff)
    if not pages:
        raise InputError(f"{path}: truncated, or damaged at its start (no picture is found in this TIFF).")
    photos = [page for page in pages if not int(page.subfiletype) & _NOT_A_PHOTO] or pages
    if len(photos) > 1:
        raise InputError(f"{path}: {len(pages)} pages; only single photos are restored.")
    return photos[0]


def _largest_stated(page: tifffile.TiffPage) -> int | None:
    value = page.tags.valueof(MAX_SAMPLE)
    largest = max(value) if isinstance(value, tuple) and value else value
    return largest if isinstance(largest, int) and page.bitspersample == 16 else None


def _resolution(page: tifffile.TiffPage) -> tuple[float, float] | None:
    try:
        x, y = (page.tags[code].value for code in (282, 283))
        per_inch = {2: 1.0, 3: 2.54}[int(page.tags[296].value) if 296 in page.tags else 2]
        dots = x[0] / x[1] * per_inch, y[0] / y[1] * per_inch
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return dots if all(1 <= value <= 65535 for value in dots) else None
