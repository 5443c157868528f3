"""Metadata besides the profile and EXIF: XMP, IPTC, comments and the chunks of PNG. All of it is kept.

Formats: XMP (ISO 16684-1; in files: XMP specification, part 3), IPTC in Photoshop's image resources, and the chunks of
PNG (W3C, third edition).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

_XMP_IN_PNG = b"XML:com.adobe.xmp\0\0\0\0\0"  # an uncompressed iTXt without language and translated keyword
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_START = len(PNG_SIGNATURE) + 25  # and IHDR
# Kept byte by byte. Chunks that depend on the old pixels (palette, histogram, background, date) are dropped.
_COLOR_CHUNKS = (b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM")
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_AS_EXIF = (b"Raw profile type exif\0", b"Raw profile type APP1\0")  # ImageMagick's; written as EXIF
_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_THUMBNAILS = (1033, 1036)  # image resources that would show the unrestored photo
_SEGMENT = 65533  # bytes in one segment of a JPEG


@dataclass(frozen=True)
class Metadata:
    """The metadata of one photo, without EXIF, which is ``Photo.exif``.

    Attributes:
        xmp: a packet, UTF-8.
        photoshop: image resources ("8BIM…"), with IPTC in resource 1028; without thumbnails.
        iptc: records of IPTC without image resources, as in TIFF.
        segments: of a JPEG, (marker's second byte, content): extended XMP and comments.
        chunks: of a PNG, (type, content): texts and what its colors mean.
        cicp: primaries, transfer, matrix and range of ITU-T H.273, of an HEIC or AVIF without a profile.
        lost: in words, what the file had and the result will not have.
    """

    xmp: bytes | None = None
    photoshop: bytes | None = None
    iptc: bytes | None = None
    segments: tuple[tuple[int, bytes], ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    cicp: tuple[int, int, int, int] | None = None
    lost: tuple[str, ...] = ()


def of_png(chunks: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """The metadata in the chunks of a PNG, (type, content)."""
    kept, lost = [], []
    for kind, body in chunks:
        if kind in _COLOR_CHUNKS or (kind in _TEXT_CHUNKS and not body.startswith(_AS_EXIF)):
            kept.append((kind, body))
        elif kind == b"caBX":
            lost.append("content credentials (C2PA)")
    return Metadata(chunks=tuple(kept), lost=tuple(lost))


def into_png(png: bytes, metadata: Metadata) -> bytes:
    """The PNG with these chunks after its header, where the standard requires those about color."""
    chunks = list(metadata.chunks)
    if metadata.cicp:
        primaries, transfer, _, _ = metadata.cicp  # RGB has no matrix, and PNG knows the full range only
        chunks.insert(0, (b"cICP", bytes([primaries, transfer, 0, 1])))
    if metadata.xmp and not any(body.startswith(_XMP_IN_PNG[:18]) for _, body in chunks):
        chunks.append((b"iTXt", _XMP_IN_PNG + metadata.xmp))
    return png[:_PNG_START] + png_chunks(chunks) + png[_PNG_START:]


def png_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of chunks, (type, content), with their lengths and checksums."""
    framed = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
              for kind, body in chunks)  # fmt: skip
    return b"".join(framed)


def of_jpeg(segments: Iterable[tuple[str, bytes]]) -> Metadata:
    """The metadata in the segments of a JPEG, ("APP1", content), as Pillow lists them."""
    xmp, photoshop, kept, lost = None, b"", [], []
    for name, body in segments:
        if name == "COM":
            kept.append((0xFE, body))
        elif body.startswith(_XMP):
            xmp = xmp or body[len(_XMP) :]
        elif body.startswith(_MORE_XMP):
            kept.append((0xE1, body))
        elif name == "APP13" and body.startswith(_PHOTOSHOP):
            photoshop += body[len(_PHOTOSHOP) :]
        elif body.startswith(b"MPF\0"):
            lost.append("the further pictures of the file (previews, depth or gain maps)")
        elif name == "APP11":
            lost.append("content credentials (C2PA)")
        elif not body.startswith((b"JFIF\0", b"JFXX\0", b"Exif\0", b"ICC_PROFILE\0", b"Adobe")):
            lost.append(f"a segment {name}")
    if xmp and (b"MotionPhoto=" in xmp or b"MicroVideo=" in xmp):
        lost.append("the video of a motion photo")
    return Metadata(xmp, without_thumbnails(photoshop) or None, None, tuple(kept), lost=tuple(dict.fromkeys(lost)))


def jpeg_segments(metadata: Metadata) -> bytes:
    """The bytes of the segments with this metadata, for a JPEG."""
    segments = list(metadata.segments)
    if metadata.photoshop:
        room = _SEGMENT - len(_PHOTOSHOP)
        parts = [metadata.photoshop[at : at + room] for at in range(0, len(metadata.photoshop), room)]
        segments = [(0xED, _PHOTOSHOP + part) for part in parts] + segments
    if metadata.xmp and len(metadata.xmp) <= _SEGMENT - len(_XMP):
        segments.insert(0, (0xE1, _XMP + metadata.xmp))
    return b"".join(b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)


def without_thumbnails(resources: bytes) -> bytes:
    """Photoshop's image resources without the thumbnails; what cannot be parsed stays as it is."""
    kept, at = b"", 0
    while at + 12 <= len(resources):
        signature, number, name = struct.unpack_from(">4sHB", resources, at)
        head = at + 6 + (name + 2) // 2 * 2
        if head + 4 > len(resources) or signature not in (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR"):
            break
        (size,) = struct.unpack_from(">I", resources, head)
        end = head + 4 + (size + 1) // 2 * 2
        if number not in _THUMBNAILS:
            kept += resources[at:end]
        at = end
    return kept + resources[at:]
