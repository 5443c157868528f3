"""Reads one photo from a file; an error is one line that says why it cannot be read."""

from __future__ import annotations

import hashlib
import io
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from zeroair_pl.errors import InputError
from zeroair_pl.photos import heif, raw
from zeroair_pl.photos.absent import why_missing
from zeroair_pl.photos.jpeg import jpeg_file
from zeroair_pl.photos.metadata import Metadata, of_jpeg
from zeroair_pl.photos.photo import MIN_SIDE, Array, Photo, Space, build, check_size, planes, read_dpi, read_exif
from zeroair_pl.photos.png import Png
from zeroair_pl.photos.value_range import white_of

_DECODING = threading.Lock()
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def load_photo(path: str | Path, min_side: int = MIN_SIDE) -> Photo:
    """Decodes one file; its content decides the format, not its suffix.

    Of a JPEG with several pictures (MPO: previews, depth or gain maps) the first counts, and of a TIFF the one page
    that is not marked as a thumbnail. Animations and documents of several pages are refused, because writing one of
    the pictures back would lose the others.

    Args:
        path: of the file.
        min_side: the fewest pixels of a side; a photo of fewer cannot be restored, but a blur kernel is often smaller.

    Raises:
        InputError: the photo cannot be restored and written back faithfully; one sentence that names the file.
    """
    path = Path(path)
    check_file(path)
    with _reasons(path), path.open("rb") as file:
        return _decoded(path, file, min_side)


def decode_photo(data: bytes, path: Path) -> Photo:
    """The photo in a file's bytes; ``path`` is the name for errors, which are those of ``load_photo``."""
    if not data:
        raise InputError(f"{path}: empty (0 bytes).")
    with _reasons(path):
        return _decoded(path, io.BytesIO(data))


def original(path: Path, sha256: str = "") -> bytes | None:
    """The bytes of a photo's file; ``None`` if it is gone, has changed, or is not ``writable``.

    Args:
        sha256: of the bytes that were read before; empty for any.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if writable(data) and sha256 in ("", hashlib.sha256(data).hexdigest()) else None


def writable(data: bytes) -> bool:
    """Whether the program can also write the format of the file; it cannot write HEIC, camera raw and the like."""
    return not (raw.kind_of_start(data[: raw.HEAD]) or heif.kind_of_start(data[: raw.HEAD]))


def _decoded(path: Path, file: IO[bytes], min_side: int = MIN_SIDE) -> Photo:
    with _quiet_pillow():
        head = file.read(raw.HEAD)
        file.seek(0)
        if kind := raw.kind_of_start(head):
            return raw.develop(path, file, kind)
        if kind := heif.kind_of_start(head):
            return heif.read_heif(path, file, kind)
        if head[:4] in _TIFF_MAGIC:
            from zeroair_pl.photos.tiff import read_tiff

            return read_tiff(path, file, min_side)
        return _read(path, file, min_side)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Turns every error of a decoder into an InputError of one sentence."""
    try:
        yield
    except InputError:
        raise
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path}: not a PNG, JPEG, WebP, TIFF or BMP image, or damaged at its start.") from error
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it.") from error
    except MemoryError as error:
        raise InputError(f"{path}: too little memory to decode it.") from error
    except Exception as error:  # damaged bytes make decoders raise exceptions of nearly every type
        raise InputError(f"{path}: damaged or truncated ({_one_line(error)}).") from error


def check_file(path: Path) -> None:
    """Raises InputError unless ``path`` is a regular file that is not empty. It opens nothing: a pipe would block."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path} {why_missing(path)}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be reached ({_one_line(error)}).") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: a folder; expected an image file.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: not a regular file (a pipe, socket or device).")
    if status.st_size == 0:
        raise InputError(f"{path}: empty (0 bytes).")


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Replaces Pillow's own size limit, which is lower, by ``check_size``; silences warnings about odd metadata.

    One photo at a time, since the limit and the filters belong to the process. At the end only this filter is removed;
    another thread may have added filters meanwhile.
    """
    with _DECODING:
        before = set(warnings.filters)
        filters = warnings.filters  # another thread's ``catch_warnings`` puts a copy in its place
        warnings.filterwarnings("ignore", module=r"PIL\.")
        ours = set(warnings.filters) - before
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            for place in (filters, warnings.filters):
                for each in ours.intersection(place):
                    place.remove(each)  # type: ignore[attr-defined]  # a list


def _read(path: Path, file: IO[bytes], min_side: int) -> Photo:
    with Image.open(file, formats=_FORMATS) as image:
        check_size(path, *image.size, min_side)
        fmt = "JPEG" if image.format == "MPO" else str(image.format)
        if fmt != "JPEG" and (frames := getattr(image, "n_frames", 1)) > 1:
            raise InputError(f"{path}: an animation ({frames} frames); only still photos are restored.")
        image.load()
        exif, orientation = read_exif(image)
        lossless = True
        if fmt == "WEBP":
            file.seek(0)
            lossless = b"VP8L" in file.read()
        if fmt == "PNG":
            space, color, alpha, metadata = _png(path, file, image)
        else:
            space, color, alpha = planes(path, image)
            metadata = of_jpeg(getattr(image, "applist", ())) if fmt == "JPEG" else Metadata(image.info.get("xmp"))
        compression = jpeg_file(image, orientation) if fmt == "JPEG" else None
        side = {} if compression is None else {"jpeg": compression}
        return build(
            color, alpha, format=fmt, side=side, space=space, icc_profile=image.info.get("icc_profile"), exif=exif,
            metadata=metadata, orientation=orientation, dpi=read_dpi(image), lossless=lossless,
            white=white_of(color) if fmt == "PNG" else None,
        )  # fmt: skip


def _png(path: Path, file: IO[bytes], image: Image.Image) -> tuple[Space, Array, Array | None, Metadata]:
    png = Png(file)
    if not png.whole():
        raise InputError(f"{path}: damaged or truncated (it has fewer pixels than it says).")
    if png.depth < 16:
        return (*planes(path, image), png.metadata)
    array = np.atleast_3d(png.decode())  # Pillow would cut it to 8 bits in color
    alpha = array[..., -1] if array.shape[2] in (2, 4) else None
    space: Space = "gray" if png.gray else "rgb"
    return space, array[..., :1] if png.gray else array[..., 2::-1], alpha, png.metadata


def _one_line(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")[:200]
