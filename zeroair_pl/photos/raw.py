"""Camera raw files: recognized by their content, and developed by the extra ``raw`` (rawpy, with LibRaw).

Most of them are TIFFs whose first picture is a thumbnail, which a plain TIFF reader would restore. Tags are those of
TIFF/EP (ISO 12234-2) and of the DNG specification 1.7.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from zeroair_pl.errors import InputError
from zeroair_pl.photos.formats import how_to_install, installed
from zeroair_pl.photos.isolated import decode
from zeroair_pl.photos.metadata import Metadata
from zeroair_pl.photos.photo import Photo, build

if TYPE_CHECKING:
    import tifffile

_DNG_VERSION, _MAKE = 50706, 271
_SENSOR = (32803, 34892)  # photometric: color filter array, linear raw
_STARTS = (
    (b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (b"IIRO", "Olympus ORF"),
    (b"IIRS", "Olympus ORF"),
    (b"MMOR", "Olympus ORF"),
    (b"IIU\0", "Panasonic RW2"),
    (b"\0MRM", "Minolta MRW"),
    (b"FOVb", "Sigma X3F"),
)
HEAD = 64  # bytes of a file that ``kind_of_start`` looks at


def kind_of_start(head: bytes) -> str | None:
    """The raw format by the first ``HEAD`` bytes of a file, such as "Canon CR2"; ``None`` if it is none."""
    if head[8:10] == b"CR" and head[:4] in (b"II*\0", b"MM\0*"):
        return "Canon CR2"
    if head[4:12] == b"ftypcrx ":
        return "Canon CR3"
    if head[:2] == b"II" and head[6:14] == b"HEAPCCDR":
        return "Canon CRW"
    if head[8:12] in (b"IIII", b"MMMM") and head[:4] in (b"II*\0", b"MM\0*"):
        return "Phase One IIQ"
    return next((kind for start, kind in _STARTS if head.startswith(start)), None)


def kind_of_tiff(path: Path, tiff: tifffile.TiffFile) -> str | None:
    """The raw format of a TIFF with a sensor's samples in a page or SubIFD; ``None`` if it has none.

    Raises InputError for another TIFF whose first picture is only a preview.
    """
    pages = pages_of(tiff)
    if not pages:
        return None
    first = pages[0]
    inner = [sub for page in pages for sub in pages_of(page)]
    make = " ".join(str(first.tags.valueof(_MAKE, "")).replace("\0", " ").split())[:40]
    kind = "DNG" if _DNG_VERSION in first.tags else f"of {make}" if make else path.suffix.lstrip(".").upper()
    if any(int(page.photometric) in _SENSOR for page in [*pages, *inner]):
        return kind
    larger = [sub for sub in inner if sub.imagewidth * sub.imagelength > first.imagewidth * first.imagelength]
    if not larger:
        return None
    if _DNG_VERSION in first.tags:
        return kind
    size, full = (f"{page.imagewidth}x{page.imagelength} px" for page in (first, larger[0]))
    raise InputError(
        f"{path}: its first picture ({size}) is a preview of another one ({full}), which is not read; export it as a "
        "TIFF of one picture, PNG or JPEG."
    )


def pages_of(parent: tifffile.TiffFile | tifffile.TiffPage) -> list[tifffile.TiffPage]:
    """The directories of a file, or the SubIFDs of a page.

    They are counted first: iterating over directories that form a loop would not end.
    """
    pages = parent.pages
    return [pages[i].aspage() for i in range(len(pages))] if pages is not None else []


def develop(
    path: Path, file: IO[bytes], kind: str, exif: bytes | None = None, metadata: Metadata | None = None
) -> Photo:
    """A raw file as a photo of 16 bits in sRGB, upright, to be written as a TIFF.

    It has the camera's white balance, the exposure as taken (so nothing more is clipped than in the sensor), and the
    transfer curve of sRGB. ``exif`` and ``metadata`` are kept, without the tags that only a raw file has.

    Raises InputError where the extra is missing, where LibRaw cannot develop the file, and for sizes that
    ``check_size`` refuses.
    """
    advice = "export it as TIFF, PNG or JPEG"
    what = f"{path}: a camera raw file ({kind})"
    if not installed("raw"):
        raise InputError(f"{what}; {advice}, or install the extra 'raw' to develop it: {how_to_install('raw')}.")
    pixels, _, _ = decode("raw", path, file, lambda reason: f"{what} that LibRaw cannot develop ({reason}); {advice}.")
    kept = replace(metadata or Metadata(), lost=())
    return build(pixels, None, format="TIFF", space="rgb", orientation=1, icc_profile=_srgb(),
                 exif=exif, metadata=kept)  # fmt: skip


def _srgb() -> bytes:
    """A profile of sRGB, with a date that does not change from run to run."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]  # ICC.1, 7.2.8
