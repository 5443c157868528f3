"""What Pillow lacks for PNG: colors of 16 bits a sample, and a check that no pixel is missing.

Names and numbers are of the PNG specification, ISO/IEC 15948.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.photos.metadata import PNG_SIGNATURE, of_png, png_chunks

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # of Adam7
_STEP = 1 << 20  # bytes


class Png:
    """The chunks of a file that Pillow has decoded without an error.

    Attributes:
        depth: bits per sample.
        gray: its color type has one channel of color, and no palette.
        metadata: its texts, and what its colors mean.
    """

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        chunks = list(_chunks(file.read()))
        self.metadata = of_png(chunks)
        self._header = next(body for kind, body in chunks if kind == b"IHDR")
        self._pixels = [body for kind, body in chunks if kind == b"IDAT"]
        self._transparent = [body for kind, body in chunks if kind == b"tRNS"]
        self.width, self.height, self.depth, self._type, _, _, self._interlaced = struct.unpack(
            ">IIBBBBB", self._header[:13]
        )
        self.gray = self._type in (0, 4)

    def whole(self) -> bool:
        """Whether no pixel is missing; decoders show missing ones as black."""
        found, wanted, stream = 0, self._length(), zlib.decompressobj()
        for body in self._pixels:
            while body and found < wanted:
                found += len(stream.decompress(body, _STEP))
                body = stream.unconsumed_tail
        return found + len(stream.flush(_STEP) if found < wanted else b"") >= wanted

    def decode(self) -> NDArray[Any]:
        """The samples in OpenCV's order: (H, W) or (H, W, C), colors in reverse.

        OpenCV gets only the chunks of the pixels, since it prints warnings about others on the terminal.
        """
        import cv2

        kept = [(b"IHDR", self._header), *((b"tRNS", body) for body in self._transparent)]
        kept += [*((b"IDAT", body) for body in self._pixels), (b"IEND", b"")]
        data = np.frombuffer(PNG_SIGNATURE + png_chunks(kept), np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if decoded is None:
            raise ValueError("its pixels cannot be decoded")
        return decoded

    def _length(self) -> int:
        """Bytes of all rows, each with its filter, before compression."""
        bits, total = self.depth * _CHANNELS[self._type], 0
        for left, top, across, down in _PASSES if self._interlaced else ((0, 0, 1, 1),):
            columns, rows = -(-(self.width - left) // across), -(-(self.height - top) // down)
            total += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
        return total


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length
