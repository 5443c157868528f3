"""TIFF in and out. Pillow decodes samples of up to 8 bits, tifffile what is deeper, and tifffile writes them all."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zeroair_pl.errors import InputError
from zeroair_pl.photo import (
    ORIENTATION,
    Array,
    Photo,
    Space,
    as_stored,
    build,
    check_size,
    planes,
    read_dpi,
)

if TYPE_CHECKING:
    import tifffile

# What survives of a TIFF's metadata beside orientation, resolution and profile. The other tags describe the old strips
# and tiles, or (EXIF and GPS directories) are linked by offsets that the writer cannot place.
_TEXTS = (270, 271, 272, 305, 306, 315, 33432)  # description, make, model, software, date, artist, copyright
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it finds wrong reaches the user as an InputError
_NOT_A_PHOTO = 1 | 4  # bits of NewSubfileType: this page is a small copy of another, or its mask


def read_tiff(path: Path, file: IO[bytes]) -> Photo:
    """The photo in a TIFF: grey, RGB or palette with or without alpha, CMYK of 8 bits; uint8, uint16 or float samples.

    A float file is taken to hold [0, 1]. Where its largest value is above 1, all are divided by it (``Photo.white``)
    and multiplied again on writing; negative values become 0.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        if not len(tiff.pages):
            raise InputError(f"{path}: truncated, or damaged at its start (no picture is found in this TIFF).")
        page, *others = (page.aspage() for page in tiff.pages)
        if not all(int(other.subfiletype) & _NOT_A_PHOTO for other in others):
            raise InputError(f"{path}: {len(others) + 1} pages; only single photos are restored.")
        check_size(path, page.imagewidth, page.imagelength)
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > path.stat().st_size:  # decoders would fill the missing part with black
            raise InputError(f"{path}: truncated.")
        if page.sampleformat == 2:
            raise InputError(f"{path}: signed samples are not supported; save it with 8 or 16 bits or as float.")
        orientation = int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else 1
        orientation = orientation if orientation in range(1, 9) else 1
        kept: dict[str, Any] = {"exif": _exif(page, orientation), "icc_profile": page.iccprofile or None}
        white = 1.0
        if page.bitspersample <= 8:
            space, colour, alpha, kept["dpi"] = _shallow(path, file, orientation)
        else:
            space, colour, alpha = _deep(path, file, page)
            kept["dpi"] = _resolution(page)
            if colour.dtype.kind == "f":
                if not np.isfinite(colour).all():
                    raise InputError(f"{path}: holds NaN or infinite values.")
                white = max(1.0, float(colour.max()))
        return build(colour, alpha, format="TIFF", orientation=orientation, white=white, space=space, **kept)


def write_tiff(photo: Photo, colour: Array, alpha: Array | None) -> bytes:
    """A Deflate-compressed TIFF, as bytes, of arrays in stored layout: colour (H, W, 1, 3 or 4 inks), alpha (H, W)."""
    import tifffile

    exif = Image.Exif()
    exif.load(photo.exif or b"")
    tags: list[tuple[int, str, int, Any, bool]] = [(ORIENTATION, "H", 1, photo.orientation, True)]
    for code in _TEXTS:
        if text := str(exif.get(code, "")).rstrip("\0"):
            data = text.encode("utf-8") + b"\0"
            tags.append((code, "s", len(data), data, True))
    array = colour if alpha is None else np.dstack([colour, alpha])
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        array[..., 0] if array.shape[2] == 1 else array,
        photometric={"grey": "minisblack", "rgb": "rgb", "cmyk": "separated"}[photo.space],
        planarconfig="contig" if array.shape[2] > 1 else None,
        extrasamples=None if alpha is None else ["unassalpha"],
        compression="zlib",
        predictor=array.dtype.kind == "u",
        iccprofile=photo.icc_profile,
        resolution=photo.dpi,
        resolutionunit="INCH" if photo.dpi else None,
        extratags=tags,
        metadata=None,
        software=False,
    )
    return out.getvalue()


def _shallow(path: Path, file: IO[bytes], orientation: int) -> tuple[Space, Array, Array | None, Any]:
    file.seek(0)
    try:
        opened = Image.open(file, formats=("TIFF",))
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path}: an unusual arrangement of channels; save it as RGB.") from error
    with opened as image:
        image.load()  # turns it upright by itself, which is undone here to treat all formats alike
        space, colour, alpha = planes(path, image)
        stored = None if alpha is None else as_stored(alpha, orientation)
        return space, as_stored(colour, orientation), stored, read_dpi(image)


def _deep(path: Path, file: IO[bytes], page: tifffile.TiffPage) -> tuple[Space, Array, Array | None]:
    kind, samples = page.photometric, page.samplesperpixel
    dtype = np.dtype(page.dtype or "V")
    if dtype.name not in ("uint16", "float16", "float32", "float64") or page.bitspersample != dtype.itemsize * 8:
        raise InputError(f"{path}: {page.bitspersample}-bit samples are not supported; save it with 8 or 16 bits.")
    colours = {0: 1, 1: 1, 2: 3}.get(int(kind))
    if colours is None or samples not in (colours, colours + 1):
        what = f"{samples} channels of {page.bitspersample} bits with TIFF's photometric {int(kind)}"
        raise InputError(f"{path}: {what} are not supported; save it as RGB.")
    array = np.atleast_3d(_samples(path, file, page))
    colour, alpha = array[..., :colours], array[..., colours] if samples > colours else None
    top = np.iinfo(dtype).max if dtype.kind == "u" else 1
    if kind == 0:  # white is zero
        colour = top - colour
    if alpha is not None and page.extrasamples and int(page.extrasamples[0]) == 1:  # colours come multiplied by alpha
        share = np.maximum(alpha, 1 if dtype.kind == "u" else np.finfo(dtype).tiny)[..., None] / top
        colour = np.clip(np.rint(colour / share) if dtype.kind == "u" else colour / share, 0, top).astype(dtype)
    return "grey" if colours == 1 else "rgb", colour, alpha


def _samples(path: Path, file: IO[bytes], page: tifffile.TiffPage) -> Array:
    """The page as (H, W) or (H, W, samples).

    By OpenCV where tifffile would need an optional package for the compression (LZW, PackBits, Zstandard...).
    """
    try:
        array = np.asarray(page.asarray())
        return np.moveaxis(array, 0, -1) if page.planarconfig == 2 and page.samplesperpixel > 1 else array
    except (KeyError, ImportError, ValueError) as error:
        if "imagecodecs" not in str(error) and not isinstance(error, ImportError):
            raise
    import cv2

    file.seek(0)
    data = bytearray(file.read())
    if ORIENTATION in page.tags:  # OpenCV would apply it, and fails on the four that swap the sides
        start = page.tags[ORIENTATION].valueoffset
        data[start : start + 2] = (1).to_bytes(2, "little" if page.parent.byteorder == "<" else "big")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    planes_read = 1 if decoded is None or decoded.ndim == 2 else decoded.shape[2]
    if decoded is None or decoded.dtype != page.dtype or planes_read != page.samplesperpixel:
        raise InputError(f"{path}: compression {page.compression!r} cannot be decoded; save it uncompressed.")
    return decoded if decoded.ndim == 2 else decoded[..., [2, 1, 0, 3][:planes_read]]


def _exif(page: tifffile.TiffPage, orientation: int) -> bytes | None:
    exif = Image.Exif()
    for code in _TEXTS:
        if code in page.tags and isinstance(page.tags[code].value, str):
            exif[code] = page.tags[code].value
    if orientation != 1:
        exif[ORIENTATION] = orientation
    return exif.tobytes() if len(exif) else None


def _resolution(page: tifffile.TiffPage) -> tuple[float, float] | None:
    try:
        x, y = (page.tags[code].value for code in (282, 283))
        per_inch = {2: 1.0, 3: 2.54}[int(page.tags[296].value) if 296 in page.tags else 2]
        return x[0] / x[1] * per_inch, y[0] / y[1] * per_inch
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
