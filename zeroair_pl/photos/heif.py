"""Reads HEIC, AVIF and JPEG XL. They are written as a JPEG, or as a PNG if a JPEG cannot hold the photo.

Few programs open these formats, and no library writes all of them without loss. A JPEG holds what a phone's HEIC has:
8 bits, profile, EXIF, XMP. Photos of more than 8 bits, with alpha, with colors that need the chunk cICP, and all JPEG
XL, which may be lossless, become a PNG.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zeroair_pl.errors import InputError
from zeroair_pl.photos.formats import how_to_install, installed
from zeroair_pl.photos.isolated import decode
from zeroair_pl.photos.metadata import Metadata
from zeroair_pl.photos.photo import ORIENTATION, Photo, build, check_size, planes, read_exif

Array = NDArray[Any]

_EXTRA = {"HEIC": "heic", "JPEG XL": "jxl"}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_PLAIN = (1, (1, 2, 6, 13))  # of H.273: primaries of sRGB, and transfer curves that are taken for it
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def kind_of_start(head: bytes) -> str | None:
    """ "HEIC", "AVIF" or "JPEG XL", by the first 64 bytes of a file, or None."""
    if head.startswith(_JXL_STARTS):
        return "JPEG XL"
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    brands = {head[at : at + 4] for at in (8, *range(16, min(size, len(head)), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIC" if brands & {*_HEIC_BRANDS, b"mif1", b"msf1"} else None


def read_heif(path: Path, file: IO[bytes], kind: str) -> Photo:
    """The primary picture of an HEIC, a still AVIF or JPEG XL, upright.

    Raises InputError where the extra that reads it is missing, for animations, and for JPEG XL of more than 8 bits.
    """
    extra = _EXTRA.get(kind)
    if extra and not installed(extra):
        raise InputError(f"{path}: {kind} is read with the extra {extra!r}: {how_to_install(extra)}.")
    file.seek(0)
    return {"HEIC": _heic, "AVIF": _avif, "JPEG XL": _jxl}[kind](path, file)


def _heic(path: Path, file: IO[bytes]) -> Photo:
    array, said, kept = decode("heic", path, file, lambda reason: f"{path}: damaged or truncated ({reason}).")
    if array.dtype == np.uint16:
        array = _full_range(array >> (16 - said["depth"]), said["depth"])
    lost = ["the further pictures of the file"] if said["pictures"] > 1 else []
    lost += ["its depth map"] if said["depth_maps"] else []
    lost += ["its auxiliary pictures (a gain map or mattes)"] if said["auxiliary"] else []
    code = None if said["code"] is None else tuple(said["code"])
    return _photo(array, kept.get("exif"), 1, kept.get("icc_profile"), kept.get("xmp"), code, lost)


def _avif(path: Path, file: IO[bytes]) -> Photo:
    with Image.open(file, formats=("AVIF",)) as image:
        _check_still(path, image)
        file.seek(0)
        data = file.read()
        depth, exif_and_orientation = _av1_depth(data), read_exif(image)
        if depth > 8:  # Pillow would cut it to 8
            import imagecodecs

            array = _full_range(np.asarray(imagecodecs.avif_decode(data)), depth)
        else:
            array = _stack(path, image)
        return _photo(
            array, *exif_and_orientation, image.info.get("icc_profile"), image.info.get("xmp"), _nclx(data), []
        )


def _check_still(path: Path, image: Image.Image) -> None:
    check_size(path, *image.size)
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise InputError(f"{path}: an animation ({frames} frames); only still photos are restored.")


def _jxl(path: Path, file: IO[bytes]) -> Photo:
    import imagecodecs
    import pillow_jxl  # noqa: F401  # tells Pillow of the format

    with Image.open(file, formats=("JXL",)) as image:
        _check_still(path, image)
        file.seek(0)
        array = np.asarray(imagecodecs.jpegxl_decode(file.read()))
        if array.dtype != np.uint8:
            raise InputError(f"{path}: JPEG XL of more than 8 bits is not supported; convert it to a PNG or TIFF.")
        exif, _ = read_exif(image)  # its orientation is ignored: that of the pixels is applied
        return _photo(array, exif, 1, image.info.get("icc_profile"), image.info.get("xmp"), None, [], png=True)


def _photo(
    array: Array,
    exif: bytes | None,
    orientation: int,
    icc_profile: bytes | None,
    xmp: bytes | None,
    code: tuple[int, ...] | None,
    lost: list[str],
    png: bool = False,
) -> Photo:
    array = np.atleast_3d(array)
    channels = array.shape[2]
    alpha = array[..., -1] if channels in (2, 4) else None
    special = code is not None and not icc_profile and (code[0] != _PLAIN[0] or code[1] not in _PLAIN[1])
    png = png or array.dtype == np.uint16 or alpha is not None or special
    if xmp and not png and len(xmp) > 65000:
        xmp, lost = None, [*lost, "XMP, which is too long for a JPEG"]
    return build(
        array[..., : 1 if channels < 3 else 3],
        alpha,
        format="PNG" if png else "JPEG",
        space="gray" if channels < 3 else "rgb",
        orientation=orientation,
        icc_profile=icc_profile or None,
        exif=_with_orientation(exif, orientation),
        metadata=Metadata(xmp or None, cicp=code if special else None, lost=tuple(lost)),  # type: ignore[arg-type]
    )


def _with_orientation(exif: bytes | None, orientation: int) -> bytes | None:
    """The EXIF block without thumbnail, with the orientation of these pixels."""
    image = Image.new("L", (1, 1))
    image.info["exif"] = exif or b""
    block, said = read_exif(image)
    if block is None or said == orientation:
        return block
    rewritten = Image.Exif()
    rewritten.load(block)
    rewritten[ORIENTATION] = orientation
    return rewritten.tobytes()


def _stack(path: Path, image: Image.Image) -> Array:
    image.load()
    _, color, alpha = planes(path, image)
    return color if alpha is None else np.dstack([color, alpha])


def _full_range(array: Array, bits: int) -> Array:
    return np.rint(array * (65535 / (2**bits - 1))).astype(np.uint16)


def _av1_depth(data: bytes) -> int:
    """Bits, from the first av1C box (AV1 in ISO base media, section 2.3.3)."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def _nclx(data: bytes) -> tuple[int, int, int, int] | None:
    """Of the first colr box of that kind (ISO/IEC 14496-12, section 12.1.5)."""
    at = data.find(b"colrnclx")
    if at < 0 or len(data) < at + 15:
        return None
    primaries, transfer, matrix = (int.from_bytes(data[at + 8 + 2 * i : at + 10 + 2 * i], "big") for i in range(3))
    return primaries, transfer, matrix, data[at + 14] >> 7
