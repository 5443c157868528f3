"""A TIFF writer for the tests that shares no code with the package: any layout, depth, byte order and predictor.

From TIFF 6.0 and, for floating-point prediction, Adobe's Photoshop TIFF Technical Note 3.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np


def packbits(data: bytes) -> bytes:
    """Runs where there are some, else literals of up to 128 bytes."""
    out, at = b"", 0
    while at < len(data):
        run = 1
        while run < 128 and data[at + run : at + run + 1] == data[at : at + 1]:
            run += 1
        if run > 2:
            out, at = out + bytes([257 - run]) + data[at : at + 1], at + run
        else:
            part = data[at : at + 5]
            out, at = out + bytes([len(part) - 1]) + part, at + len(part)
    return out


CODECS: dict[str, tuple[int, Callable[[bytes], Any]]] = {
    "none": (1, bytes),
    "lzw": (5, imagecodecs.lzw_encode),
    "deflate": (8, zlib.compress),
    "old deflate": (32946, zlib.compress),
    "packbits": (32773, packbits),
    "lzma": (34925, lzma.compress),
    "zstd": (50000, imagecodecs.zstd_encode),
}
REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def write(
    samples: np.ndarray,
    bits: int,
    *,
    codec: str = "none",
    order: str = "<",
    planar: bool = False,
    tile: int = 0,
    rows: int = 5,
    predictor: int = 1,
    photometric: int | None = None,
    extra: tuple[int, ...] | None = None,
    fill: int = 1,
    tags: dict[int, tuple[str, Any]] | None = None,
    big: bool = False,
) -> bytes:
    """Of samples (H, W, S), integer or float; ``bits`` apiece, packed below 8 and between 8 and 16."""
    height, width, channels = samples.shape
    code, compress = CODECS[codec]
    blocks = []
    for part in np.moveaxis(samples, 2, 0)[..., None] if planar else [samples]:
        if tile:
            whole = np.pad(part, [(0, -height % tile), (0, -width % tile), (0, 0)], mode="edge")
            corners = [(y, x) for y in range(0, height, tile) for x in range(0, width, tile)]
            blocks += [whole[y : y + tile, x : x + tile] for y, x in corners]
        else:
            blocks += [part[y : y + rows] for y in range(0, height, rows)]
    packed = [compress(_pack(block, bits, order, predictor)) for block in blocks]
    packed = [data.translate(REVERSED) for data in packed] if fill == 2 else packed
    if photometric is None:
        photometric = 2 if channels > 2 else 1
    fields: dict[int, tuple[str, Any]] = {
        256: ("H", width),
        257: ("H", height),
        258: ("H", [bits] * channels),
        259: ("H", code),
        262: ("H", photometric),
        266: ("H", fill),
        277: ("H", channels),
        284: ("H", 2 if planar else 1),
        317: ("H", predictor),
        339: ("H", [3 if samples.dtype.kind == "f" else 1] * channels),
        **({338: ("H", list(extra))} if extra else {}),
        **({322: ("H", tile), 323: ("H", tile)} if tile else {278: ("H", rows)}),
        **(tags or {}),
    }
    return assemble(fields, packed, order, tiled=bool(tile), big=big)


def assemble(
    fields: dict[int, tuple[str, Any]], blocks: list[bytes], order: str, *, tiled: bool, big: bool, before: bytes = b""
) -> bytes:
    """Header, blocks, then one directory with ``fields`` and where the blocks are; all of it behind another file."""
    mark = b"II" if order == "<" else b"MM"
    out = bytearray(mark + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0))))
    out = bytearray(before) if before else out
    offsets = []
    for block in blocks:
        offsets.append(len(out))
        out += block + bytes(len(block) % 2)
    place, count = (324, 325) if tiled else (273, 279)
    wide = "Q" if big else "I"
    fields = {**fields, place: (wide, offsets), count: (wide, [len(block) for block in blocks])}
    types = {"B": 1, "s": 2, "H": 3, "I": 4, "R": 5, "U": 7, "r": 10, "Q": 16}
    rationals = {"R": "I", "r": "i"}
    inline = 8 if big else 4
    entries = b""
    for tag, (kind, value) in sorted(fields.items()):
        if kind in "sU":
            data, number = bytes(value), len(value)
        else:
            values = value if isinstance(value, list | tuple) else [value]
            number = len(values) // (2 if kind in "Rr" else 1)
            data = struct.pack(f"{order}{len(values)}{rationals.get(kind, kind)}", *values)
        if len(data) > inline:
            at = len(out)
            out += data + bytes(len(data) % 2)
            data = struct.pack(order + wide, at)
        entries += struct.pack(f"{order}HH{wide}", tag, types[kind], number) + data.ljust(inline, b"\0")
    start = len(out)
    struct.pack_into(order + wide, out, 8 if big else 4, start)
    return bytes(out) + struct.pack(order + ("Q" if big else "H"), len(fields)) + entries + bytes(8)


def _pack(block: np.ndarray, bits: int, order: str, predictor: int) -> bytes:
    """Rows of a strip or tile (rows, columns, samples) as bytes."""
    rows = len(block)
    if predictor == 3:  # bytes of one significance side by side, the highest first, then differences of bytes
        across = block.shape[2]
        shuffled = block.astype(block.dtype.newbyteorder(">")).reshape(rows, -1, 1).view(np.uint8)
        flat = shuffled.swapaxes(1, 2).reshape(rows, -1)
        out = flat.copy()
        out[:, across:] -= flat[:, :-across]
        return out.tobytes()
    if predictor == 2:
        whole = block.view(f"u{block.dtype.itemsize}")
        block = whole.copy()
        block[:, 1:] -= whole[:, :-1]
    if bits in (8, 16, 32, 64):
        return block.astype(block.dtype.newbyteorder("<" if order == "<" else ">")).tobytes()
    values = block.reshape(rows, -1).astype(">u2")
    each = np.unpackbits(values.view(np.uint8).reshape(rows, -1, 2), axis=2)[..., 16 - bits :]
    return np.packbits(each.reshape(rows, -1), axis=1).tobytes()
