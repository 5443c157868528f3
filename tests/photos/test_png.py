"""PNG: whether all pixels are there, interlaced or not, at every depth."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers.hostile import chunk
from zeroair_pl.errors import InputError
from zeroair_pl.photos.png import Png
from zeroair_pl.photos.reading import load_photo

# Start and step of rows and columns in each pass of Adam7 (ISO/IEC 15948, clause 8.2).
ADAM7 = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def rows(samples: np.ndarray, depth: int) -> bytes:
    """The rows (H, W, C) of an image or of a pass, with filter 0."""
    if not samples.size:
        return b""
    out = b""
    for row in samples.reshape(len(samples), -1):
        if depth == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            out += b"\0" + np.packbits(bits.ravel()).tobytes()
    return out


def write(path: Path, depth: int, kind: int, interlaced: bool, less: int = 0, parts: int = 1) -> np.ndarray:
    """A PNG of 21 x 19 pixels, whose stream of pixels is ``less`` bytes too short and lies in several chunks."""
    generator = np.random.default_rng(depth + kind)
    samples = generator.integers(0, 2**depth, (19, 21, CHANNELS[kind]))
    passes = [samples[top::down, left::across] for top, down, left, across in ADAM7] if interlaced else [samples]
    stream = zlib.compress(b"".join(rows(each, depth) for each in passes)[: -less or None])
    cuts = [len(stream) * i // parts for i in range(parts + 1)]
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", 21, 19, depth, kind, 0, 0, int(interlaced)))
    body += chunk(b"PLTE", bytes(3 * 2**depth)) if kind == 3 else b""
    body += b"".join(chunk(b"IDAT", stream[a:b]) for a, b in pairwise(cuts))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return samples


KINDS = [(1, 0), (2, 0), (4, 3), (8, 0), (8, 2), (8, 4), (8, 6), (16, 0), (16, 2), (16, 4), (16, 6)]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth, kind", KINDS)
def test_a_byte_that_is_missing_is_missed(tmp_path: Path, depth: int, kind: int, interlaced: bool) -> None:
    path = tmp_path / "x.png"
    samples = write(path, depth, kind, interlaced, parts=3)
    assert Png(io.BytesIO(path.read_bytes())).whole()
    photo = load_photo(path)
    if kind != 3:
        colors = {1: 1, 2: 1, 3: 3, 4: 3}[samples.shape[2]]
        expected = np.broadcast_to(samples[..., :colors] / (2**depth - 1), (19, 21, 3))
        assert np.allclose(photo.pixels.permute(1, 2, 0).numpy(), expected, atol=1e-6)
    write(path, depth, kind, interlaced, less=1)
    assert not Png(io.BytesIO(path.read_bytes())).whole()
    with pytest.raises(InputError, match="damaged or truncated"):
        load_photo(path)


def test_a_bomb_is_not_inflated_beyond_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 MB of zeros behind the pixels of a small photo."""
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 21, 19, 8, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(bytes(100_000_000), 1)) + chunk(b"IEND", b"")
    inflated: list[int] = []
    real = zlib.decompressobj

    class Counted:
        def __init__(self) -> None:
            self.inner = real()

        def decompress(self, body: bytes, most: int) -> bytes:
            out = self.inner.decompress(body, most)
            inflated.append(len(out))
            return out

        @property
        def unconsumed_tail(self) -> bytes:
            return self.inner.unconsumed_tail

    png = Png(io.BytesIO(data))
    monkeypatch.setattr("zeroair_pl.photos.png.zlib.decompressobj", Counted)
    assert png.whole()
    assert sum(inflated) <= 2**20
