"""Converts EXIF and GPS between directories of a TIFF and the block of other formats, which is a small TIFF itself.

Sources: TIFF 6.0, section 2, and EXIF 3.0 (CIPA DC-008), section 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable
from mmap import mmap
from typing import NamedTuple

EXIF_IFD, GPS_IFD, _INTEROPERABILITY_IFD = 34665, 34853, 40965  # tags whose value is the offset of another directory
_INNER = (EXIF_IFD, GPS_IFD, _INTEROPERABILITY_IFD)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of a value, by type
_UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}  # bytes that are swapped together
_MOST_ENTRIES, _MOST_BYTES = 1000, 1 << 24
_DEEPEST = 3
_LONG = 4


class Entry(NamedTuple):
    """One entry of a directory: its value as little-endian bytes, or the directory that it points to."""

    tag: int
    type: int
    value: bytes
    inner: tuple[Entry, ...] | None = None


def read_directory(
    data: bytes | mmap, at: int, order: str, only: Container[int] | None = None, depth: int = 0
) -> tuple[Entry, ...]:
    """The entries of the directory at the offset ``at`` of a TIFF, without damaged ones.

    Args:
        data: the whole TIFF, from its byte order mark on.
        order: "<" or ">".
        only: the tags to read, or all.
    """
    entries: list[Entry] = []
    if depth > _DEEPEST or at + 2 > len(data):
        return ()
    (count,) = struct.unpack_from(order + "H", data, at)
    total, most = 0, len(data) + _MOST_BYTES  # values that overlap could add up to any size
    for start in range(at + 2, at + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        if start + 12 > len(data):
            break
        tag, kind, number = struct.unpack_from(order + "HHI", data, start)
        if only is not None and tag not in only:
            continue
        size = _SIZES.get(kind, 0) * number
        (place,) = (start + 8,) if size <= 4 else struct.unpack_from(order + "I", data, start + 8)
        total += size
        if not size or place + size > len(data) or total > most:
            continue
        value = _little(data[place : place + size], kind, order)
        if tag in _INNER:
            place = int.from_bytes(value, "little")
            inner = read_directory(data, place, order, depth=depth + 1) if len(value) == 4 else ()
            if inner:
                entries.append(Entry(tag, _LONG, b"", inner))
        else:
            entries.append(Entry(tag, kind, value))
    return tuple(entries)


def read_block(block: bytes | None) -> tuple[Entry, ...]:
    """The first directory of an EXIF block ("Exif\\0\\0" and a TIFF, or only the TIFF), and those it points to."""
    data = (block or b"").removeprefix(b"Exif\0\0")
    if len(data) < 8 or data[:4] not in (b"II*\0", b"MM\0*"):
        return ()
    order = "<" if data[:2] == b"II" else ">"
    return read_directory(data, struct.unpack_from(order + "I", data, 4)[0], order)


def write_block(entries: Iterable[Entry]) -> bytes | None:
    """An EXIF block of these entries; ``None`` if there are none."""
    entries = tuple(entries)
    if not entries:
        return None
    out = bytearray(b"II*\0\0\0\0\0")
    struct.pack_into("<I", out, 4, append(out, entries))
    return b"Exif\0\0" + bytes(out)


def append(out: bytearray, entries: Iterable[Entry]) -> int:
    """Appends a directory, and those it points to, to a little-endian TIFF; returns its offset."""
    rows = b""
    ordered = sorted({entry.tag: entry for entry in entries}.values())
    for tag, kind, value, inner in ordered:
        data = struct.pack("<I", append(out, inner)) if inner is not None else value
        number = len(data) // _SIZES[kind]
        if len(data) > 4:
            out += bytes(len(out) % 2)
            place = len(out)
            out += data
            data = struct.pack("<I", place)
        rows += struct.pack("<HHI", tag, kind, number) + data.ljust(4, b"\0")
    out += bytes(len(out) % 2)
    start = len(out)
    out += struct.pack("<H", len(ordered)) + rows + bytes(4)
    return start


def _little(data: bytes, kind: int, order: str) -> bytes:
    unit = _UNITS.get(kind, 1)
    if order == "<" or unit == 1:
        return bytes(data)
    return b"".join(data[i : i + unit][::-1] for i in range(0, len(data), unit))
