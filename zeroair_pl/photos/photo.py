"""One photo in memory: upright pixels to work on, and all that its file needs to be written back as it was."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.photos.exposure import exposure_of
from zeroair_pl.photos.metadata import Metadata
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.photos.value_range import beyond

Array = NDArray[Any]
Space = Literal["gray", "rgb", "cmyk"]

MIN_SIDE = 16  # px; the prior's coarsest feature map needs as many
MAX_PIXELS = 200_000_000  # refused before decoding: 200 megapixels are 2.4 GB of float32 RGB
ORIENTATION = 0x0112  # the EXIF and TIFF tag


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo and what writing it back needs.

    ``pixels`` is float32 (3, H, W) in [0, 1], upright: the file's orientation is applied. Gray is three equal channels.
    RGB and gray files keep their own encoding: values are divided by white, and no color is converted. So a photo that
    does not change is written back bit for bit. CMYK is converted, by its profile if that works in both directions.

    The written file has the *stored* layout and the orientation tag of the input. So its size in the file, its EXIF
    and its look in a viewer stay the same.
    """

    pixels: Tensor
    format: str  # a key of formats.SUFFIXES: the format to write, which differs from the file's for HEIC and such
    space: Space  # of the file; a palette counts as rgb, black and white as gray
    dtype: str = "uint8"  # of one sample in the file: uint8, uint16, float16, float32, float64
    alpha: Array | None = None  # (H, W) of that dtype, upright, straight (not premultiplied); written back untouched
    others: Array | None = None  # (H, W, N), the same for other channels of a TIFF, such as masks
    channels: tuple[int, ...] = ()  # a TIFF's ExtraSamples, in file order: 0 others, 1 premultiplied alpha, 2 alpha
    icc_profile: bytes | None = None
    exif: bytes | None = None  # without its thumbnail, which would show the unrestored photo
    orientation: int = 1  # EXIF 1..8, of the stored layout
    dpi: tuple[float, float] | None = None
    white: float | None = None  # the sample value that 1.0 stands for, if it is not full scale; see ``value_range``
    beyond: tuple[Array, Array] | None = (
        None  # of a float file: places of samples outside [0, white], and how far outside
    )
    lossless: bool = True  # a WebP may be lossy
    metadata: Metadata = field(default_factory=Metadata)
    side: Mapping[str, Any] = field(default_factory=dict)  # side information for the degradation, see ``Side``

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright photo."""
        return self.pixels.shape[1], self.pixels.shape[2]


def check_size(path: Path, width: int, height: int, min_side: int = MIN_SIDE) -> None:
    """Raises InputError for a size that is too small to restore or too large to decode."""
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width}x{height} px are {width * height / 1e6:.0f} megapixels; the limit is "
                         f"{MAX_PIXELS / 1e6:.0f}.")  # fmt: skip
    if min(width, height) < min_side:
        raise InputError(f"{path}: {width}x{height} px is too small; each side needs at least {min_side} px.")


def planes(path: Path, image: Image.Image) -> tuple[Space, Array, Array | None]:
    """A decoded Pillow image of up to 8 bits as (space, color (H, W, 1 or 3), alpha (H, W) or None)."""
    mode = image.mode
    if mode == "CMYK":
        return "cmyk", np.asarray(to_rgb(image, image.info.get("icc_profile"))), None
    if mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"):
        raise InputError(f"{path}: pixels of the kind {mode!r} are not supported; save it as RGB.")
    transparent = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    space: Space = "gray" if mode in ("1", "L", "LA", "La") else "rgb"
    wanted = {("gray", False): "L", ("gray", True): "LA", ("rgb", False): "RGB", ("rgb", True): "RGBA"}
    array = np.atleast_3d(np.asarray(image.convert(wanted[space, transparent])))
    return (space, array[..., :-1], array[..., -1]) if transparent else (space, array, None)


def build(
    color: Array,
    alpha: Array | None,
    others: Array | None = None,
    *,
    orientation: int,
    white: float | None = None,
    **rest: Any,
) -> Photo:
    """A Photo from arrays in the file's layout and sample type, with the camera's exposure as side information.

    color is (H, W, 1 or 3), alpha (H, W), others (H, W, N).
    """
    if (exposure := exposure_of(rest.get("exif"))) is not None:
        rest["side"] = {**rest.get("side", {}), "exposure": exposure}
    color, dtype = upright(color, orientation), str(color.dtype)
    top = white or (np.iinfo(color.dtype).max if color.dtype.kind == "u" else 1.0)
    rest["beyond"] = beyond(color, top) if color.dtype.kind == "f" else None
    if color.dtype == np.float64:  # which may be more than float32 holds
        color, top = color / top, 1
    pixels = torch.from_numpy(np.ascontiguousarray(color.transpose(2, 0, 1), dtype=np.float32))
    pixels = (pixels if len(pixels) == 3 else pixels.repeat(3, 1, 1)).div_(top).clamp_(0, 1)
    alpha, others = (None if a is None else np.ascontiguousarray(upright(a, orientation)) for a in (alpha, others))
    return Photo(pixels, alpha=alpha, others=others, dtype=dtype, orientation=orientation, white=white, **rest)


def of_size(photo: Photo, size: tuple[int, int]) -> Photo:
    """The photo with alpha and other channels resized to ``size`` (height, width), for a result of that size.

    ``pixels`` stay as they are. ``beyond`` is removed, since its places are those of the old size.
    """
    if photo.size == tuple(size):
        return photo
    alpha, others = (None if a is None else _resized(a, size) for a in (photo.alpha, photo.others))
    return replace(photo, alpha=alpha, others=others, beyond=None)


def _resized(array: Array, size: tuple[int, int]) -> Array:
    planes = torch.from_numpy(np.atleast_3d(array).astype(np.float64)).permute(2, 0, 1)
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1.0
    found = as_large_as(planes / top, size).permute(1, 2, 0).numpy() * top
    found = (np.rint(found) if array.dtype.kind == "u" else found).astype(array.dtype)
    return found[..., 0] if array.ndim == 2 else found


def upright(array: Array, orientation: int) -> Array:
    """Turns an array (H, W, ...) from the stored layout to the upright one, for EXIF orientations 1 to 8."""
    turned = np.swapaxes(array, 0, 1) if orientation >= 5 else array
    turned = turned[::-1] if orientation in (3, 4, 7, 8) else turned
    return turned[:, ::-1] if orientation in (2, 3, 6, 7) else turned


def as_stored(array: Array, orientation: int) -> Array:
    """The inverse of ``upright``. Each orientation is its own inverse, except 6 and 8, which are each other's."""
    return upright(array, {6: 8, 8: 6}.get(orientation, orientation))


def read_exif(image: Image.Image) -> tuple[bytes | None, int]:
    """The EXIF block without thumbnail, and its orientation (1 where it has none); a damaged block counts as none."""
    try:
        raw = image.info.get("exif") or (image.getexif().tobytes() if len(image.getexif()) else b"")
        exif = Image.Exif()
        exif.load(raw)
        orientation = exif.get(ORIENTATION, 1)
        return _without_thumbnail(raw) or None, orientation if orientation in range(1, 9) else 1
    except Exception:  # a damaged block raises any exception; the photo can do without it
        return None, 1


def _without_thumbnail(exif: bytes) -> bytes:
    """Removes the link from the first directory to the second one, which is the thumbnail's.

    All other bytes stay in place: the notes of camera makers contain absolute offsets.
    """
    body = bytearray(exif.removeprefix(b"Exif\0\0"))
    order = "<" if body[:2] == b"II" else ">"
    if len(body) >= 8:
        (first,) = struct.unpack_from(order + "I", body, 4)
        (entries,) = struct.unpack_from(order + "H", body, first)
        struct.pack_into(order + "I", body, first + 2 + 12 * entries, 0)
    return b"Exif\0\0" + bytes(body) if body else b""


def read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Pixels per inch (x, y); ``None`` if the file states none, or impossible ones."""
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 <= x <= 65535 and 1 <= y <= 65535 else None


def to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK image as sRGB; without a usable profile R = 255 - min(255, C + K) and so on (Pillow's conversion)."""
    both_ways = _transforms(profile)
    return both_ways[0].apply(image) if both_ways else image.convert("RGB")


def to_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An sRGB image as CMYK; without a usable profile C = 255 - R and so on, K = 0, which ``to_rgb`` undoes exactly."""
    both_ways = _transforms(profile)
    return both_ways[1].apply(image) if both_ways else image.convert("CMYK")


def _transforms(profile: bytes | None) -> tuple[ImageCms.ImageCmsTransform, ImageCms.ImageCmsTransform] | None:
    """The transforms to and from sRGB; ``None`` if one is missing, since a mix of rules would shift colors."""
    if not profile:
        return None
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        return (
            ImageCms.buildTransform(inks, srgb, "CMYK", "RGB", intent, flags),
            ImageCms.buildTransform(srgb, inks, "RGB", "CMYK", intent, flags),
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
