"""Writes a photo like its file: format, size, orientation, bit depth, alpha, profile."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import ConfigError, DivergenceError, InputError
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.formats import SUFFIXES
from zeroair_pl.photos.metadata import PNG_SIGNATURE, Metadata, into_png, jpeg_segments, png_chunks
from zeroair_pl.photos.photo import ORIENTATION, Array, Photo, as_stored, of_size, to_cmyk
from zeroair_pl.photos.source import Source
from zeroair_pl.photos.value_range import put_back

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's conversion to gray
_JPEG_EXIF_LIMIT = 65533  # bytes that one segment holds
_MODES = {("gray", False): "L", ("gray", True): "LA", ("rgb", False): "RGB", ("rgb", True): "RGBA"}


def output_path(out_dir: str | Path, source: Source, photo: Photo) -> Path:
    """Where the restored file goes: ``out_dir / name`` with the input's own suffix where its format has that suffix.

    A misnamed file (a PNG called .jpg) gets the suffix of its format. Raises the errors of ``keep_original``.
    """
    path = Path(out_dir) / f"{source.name}{suffix_for(source.path, photo)}"
    keep_original(path, source)
    return path


def suffix_for(path: Path, photo: Photo) -> str:
    """The suffix of the restored file: that of the photo's file if its format has it, else the format's first one."""
    suffixes = SUFFIXES[photo.format]
    return path.suffix if path.suffix.lower() in suffixes else suffixes[0]


def keep_original(path: Path, source: Source) -> None:
    """Raises ConfigError if an output at ``path`` would replace the photo itself."""
    if os.path.realpath(path) == os.path.realpath(source.path) and os.path.lexists(source.path):
        raise ConfigError(f"{path}: the output would replace the input; name another folder with --out.")


def save_photo(path: str | Path, pixels: Tensor, like: Photo) -> None:
    """Writes ``pixels`` (3, H, W) in [0, 1], upright, as a file like that of the photo ``like``.

    If there are more pixels than in the photo, its transparency and other channels are enlarged.

    Values outside [0, 1] are clipped and rounded to the nearest step of the file's depth. Gray files get the BT.601
    luma, CMYK files CMYK. Palette files become 8-bit RGB(A), black-and-white files 8-bit gray, since a restored photo
    has more colors. Alpha, profile, EXIF and resolution are those of the input. JPEG is written at quality 95 without
    chroma subsampling, WebP at 95, or lossless like the input. The other formats are lossless.

    ``path`` ends with a suffix of ``like.format``, or with ``.png`` for a PNG of any photo (float as 16 bits, CMYK as
    RGB). Missing folders are made. An existing file is replaced in one step, and stays if the writing fails.

    Raises:
        DivergenceError: a pixel is NaN or infinite.
        InputError: the file cannot be written.
    """
    write_atomically(Path(path), encode_photo(path, pixels, like))


def encode_photo(path: str | Path, pixels: Tensor, like: Photo) -> bytes:
    """The bytes that ``save_photo`` writes to ``path``, with the same arguments and errors."""
    path = Path(path)
    fmt = next((fmt for fmt, suffixes in SUFFIXES.items() if path.suffix.lower() in suffixes), None)
    if fmt not in (like.format, "PNG"):
        raise ValueError(f"{path}: a suffix of {like.format} was expected: {', '.join(SUFFIXES[like.format])} or .png")
    if pixels.ndim != 3 or len(pixels) != 3:
        raise ValueError(f"{path}: pixels are {tuple(pixels.shape)}, expected (3, H, W)")
    if not torch.isfinite(pixels).all():
        raise DivergenceError(f"{path}: the restored pixels hold NaN or infinite values; nothing is written.")
    like = of_size(like, (pixels.shape[1], pixels.shape[2]))
    if fmt != like.format:
        like = _for_png(like)
    try:
        return _encode(fmt, like, _color(pixels, like))
    except Exception as error:  # codecs raise many types; only this file fails
        raise InputError(f"{path}: cannot be encoded as {fmt} ({error or type(error).__name__}).") from error


def _for_png(like: Photo) -> Photo:
    like = replace(like, others=None, channels=(), metadata=Metadata(), white=None, beyond=None)
    if like.dtype.startswith("float"):
        alpha = None if like.alpha is None else np.rint(np.clip(like.alpha, 0, 1) * 65535.0).astype(np.uint16)
        like = replace(like, dtype="uint16", alpha=alpha)
    return replace(like, space="rgb", icc_profile=None) if like.space == "cmyk" else like


def _color(pixels: Tensor, like: Photo) -> Array:
    """Pixels as the file's samples in its stored layout: (H, W, 1) for gray, else (H, W, 3), CMYK still as RGB."""
    samples = samples_of(pixels, like.dtype, like.space == "gray", like.white, like.beyond)
    return as_stored(samples, like.orientation)


def samples_of(
    pixels: Tensor, dtype: str, gray: bool, white: float | None = None, beyond: tuple[Array, Array] | None = None
) -> Array:
    """Pixels (3, H, W) as samples of a type, upright: (H, W, 1) if ``gray``, else (H, W, 3).

    Values outside [0, 1] are clipped, and rounded to the nearest step of an integer type.

    Args:
        white: the sample that 1 becomes; by default the largest of an integer type, 1 of a float type.
        beyond: what a float file had outside [0, 1], which is added again.
    """
    values: Array = pixels.detach().float().cpu().numpy()
    if gray:  # in double precision, so that three equal channels give exactly their value
        values = sum(weight * channel.astype(np.float64) for weight, channel in zip(_LUMA, values, strict=True))[None]
    values = np.clip(values, 0, 1).transpose(1, 2, 0)
    kind = np.dtype(dtype)
    if kind.kind == "u":
        samples = np.rint(values * (white or np.iinfo(kind).max))
    else:
        samples = put_back(values.astype(np.promote_types(kind, np.float32)) * (white or 1.0), beyond)
    return samples.astype(kind)


def _encode(fmt: str, like: Photo, color: Array) -> bytes:
    alpha = None if like.alpha is None else as_stored(like.alpha, like.orientation)
    if like.space == "cmyk":
        image = to_cmyk(Image.fromarray(np.ascontiguousarray(color)), like.icc_profile)
        color = np.asarray(image)
    if fmt == "TIFF":
        from zeroair_pl.photos.tiff import write_tiff

        return write_tiff(like, np.ascontiguousarray(color))
    if like.dtype == "uint8" and like.space != "cmyk":
        array = color if alpha is None else np.dstack([color, alpha])
        array = np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)
        image = Image.fromarray(array)
        assert image.mode == _MODES[like.space, alpha is not None]
    if like.dtype == "uint16":
        png = _deep_png(like, color if alpha is None else np.dstack([color, alpha]))
        return into_png(png, like.metadata)
    if fmt == "BMP" and alpha is not None:  # Pillow writes the alpha, but not the header for it
        import cv2

        return cv2.imencode(".bmp", np.ascontiguousarray(array[..., [2, 1, 0, 3]]))[1].tobytes()
    extra: dict[str, Any] = {
        "PNG": {},
        "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
        "WEBP": {"quality": 95, "method": 4, "lossless": like.lossless, "exact": True},
        "BMP": {},
    }[fmt]
    exif = like.exif
    if fmt == "JPEG" and exif and len(exif) > _JPEG_EXIF_LIMIT:  # cameras split it into several segments
        block = Image.Exif()
        block[ORIENTATION] = like.orientation
        exif = block.tobytes()
    kept: dict[str, Any] = {"icc_profile": like.icc_profile, "exif": exif, "dpi": like.dpi}
    if fmt == "JPEG":
        kept["extra"] = jpeg_segments(like.metadata)
    elif fmt == "WEBP":
        kept["xmp"] = like.metadata.xmp
    out = io.BytesIO()
    image.save(out, fmt, **extra, **{key: value for key, value in kept.items() if value})
    return into_png(out.getvalue(), like.metadata) if fmt == "PNG" else out.getvalue()


def _deep_png(like: Photo, array: Array) -> bytes:
    """A PNG of 16 bits per sample, (H, W, 1..4): Pillow writes it for gray only, OpenCV not for gray with alpha.

    Each row is stored as its difference to the row above (filter 2 of the PNG specification, ISO/IEC 15948, clause 9).
    """
    height, width, channels = array.shape
    rows = np.ascontiguousarray(array, dtype=">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, rows.shape[1] + 1), 2, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))]
    if like.icc_profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(like.icc_profile)))
    if like.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(dots / 0.0254) for dots in like.dpi), 1)))
    if like.exif:
        chunks.append((b"eXIf", like.exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(filtered.data, 6)), (b"IEND", b"")]
    return PNG_SIGNATURE + png_chunks(chunks)
