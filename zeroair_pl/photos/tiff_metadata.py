"""The metadata of a TIFF: read from its directory, and put into the directory of the restored file."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from zeroair_pl.photos.exif import EXIF_IFD, GPS_IFD, Entry, append, read_block, read_directory, write_block
from zeroair_pl.photos.metadata import Metadata, without_thumbnails

if TYPE_CHECKING:
    import tifffile

ORIENTATION = 274
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_LAYERS = 37724  # Photoshop's ImageSourceData
# Names and texts, white point and primaries, ratings, Windows' texts, position on the earth, and the directories.
_KEPT = frozenset(
    (269, 270, 271, 272, 285, 305, 306, 315, 316, 318, 319, 18246, 18249, 33432, 33550, 33922, 34264, 34735, 34736,
     34737, 40091, 40092, 40093, 40094, 40095, 42112, 42113, EXIF_IFD, GPS_IFD)
)  # fmt: skip
# About the old pixels: where they lie, how they are compressed, and what the reader has applied.
_USED = frozenset(
    (*range(254, 267), 273, ORIENTATION, *range(277, 285), 286, 287, 288, 289, 290, 291, 292, 293, 296, 297, 301, 317,
     *range(320, 326), 330, *range(332, 344), 347, *range(512, 522), *range(529, 533), 32996, 32997, 34675)
)  # fmt: skip
_UNDEFINED, _BYTE, _SHORT = 7, 1, 3


def read_metadata(file: IO[bytes], page: tifffile.TiffPage, orientation: int) -> tuple[bytes | None, Metadata]:
    """An EXIF block with the page's texts, its EXIF and GPS directories and ``orientation``; and all other metadata."""
    codes = [int(tag.code) for tag in page.tags.values()]
    handled = {_XMP, _IPTC, _PHOTOSHOP, _LAYERS}
    lost = ["the layers of Photoshop"] if _LAYERS in codes else []
    others = sorted({code for code in codes if code not in _KEPT | _USED | handled})
    lost += [f"the TIFF tags {', '.join(map(str, others))}"] if others else []
    if page.parent.is_bigtiff:
        kept = [code for code in codes if code in _KEPT | handled - {_LAYERS}]
        lost += [f"the BigTIFF tags {', '.join(map(str, kept))}"] if kept else []
        entries: tuple[Entry, ...] = ()
    else:
        with _content(file) as data:
            entries = read_directory(data, page.offset, page.parent.byteorder, only=_KEPT | handled)
    found = {entry.tag: entry.value for entry in entries}
    block = [entry for entry in entries if entry.tag in _KEPT]
    if orientation != 1:
        block.append(Entry(ORIENTATION, _SHORT, struct.pack("<H", orientation)))
    photoshop = without_thumbnails(found.get(_PHOTOSHOP, b""))
    return write_block(block), Metadata(found.get(_XMP), photoshop or None, found.get(_IPTC), lost=tuple(lost))


@contextmanager
def _content(file: IO[bytes]) -> Iterator[bytes | mmap.mmap]:
    """The bytes of the file; one on a disk is mapped, not read."""
    if isinstance(file, io.BytesIO):
        yield file.getvalue()
    else:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def with_metadata(tiff: bytes, exif: bytes | None, metadata: Metadata) -> bytes:
    """The little-endian TIFF with this metadata in its directory. A BigTIFF (more than 4 GB) is returned as it is."""
    if tiff[:4] != b"II*\0":
        return tiff
    (start,) = struct.unpack_from("<I", tiff, 4)
    entries = {entry.tag: entry for entry in read_block(exif) if entry.tag in _KEPT}
    for tag, value, kind in (
        (_XMP, metadata.xmp, _BYTE),
        (_IPTC, metadata.iptc, _UNDEFINED),
        (_PHOTOSHOP, metadata.photoshop, _BYTE),
    ):
        if value:
            entries[tag] = Entry(tag, kind, value)
    if not entries:
        return tiff
    entries |= {entry.tag: entry for entry in read_directory(tiff, start, "<")}
    out = bytearray(tiff)
    struct.pack_into("<I", out, 4, append(out, entries.values()))
    return bytes(out)
