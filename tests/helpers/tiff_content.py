"""What the tests of TIFF put into files, and how they look at what was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers import tiff_files
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import load_photo

HEIGHT, WIDTH = 18, 21  # no multiples of a tile, of a strip's rows, or of a byte's pixels
DEPTHS = {1: "u1", 2: "u1", 4: "u1", 6: "u1", 8: "u1", 10: "u2", 12: "u2", 14: "u2", 16: "u2"}
FLOATS = {16: "f2", 32: "f4", 64: "f8"}


def content(channels: int, bits: int, dtype: str) -> np.ndarray:
    """Random samples with the two ends of the range among them, and long runs."""
    generator = np.random.default_rng(bits * 10 + channels)
    shape = (HEIGHT, WIDTH, channels)
    if dtype[0] == "f":
        values = generator.random(shape).astype(dtype)
        values[0], values[1] = 0, 1
        return values
    values = generator.integers(0, 2**bits, shape).astype(dtype)
    values[0], values[1] = 0, 2**bits - 1
    return values


def close(photo: Photo, samples: np.ndarray, bits: int) -> None:
    """``photo`` holds ``samples`` (H, W, S), S up to 4 with alpha in even ones."""
    top = 1 if samples.dtype.kind == "f" else 2**bits - 1
    share = samples.astype(np.float64) / top
    colors = samples.shape[2] - (samples.shape[2] % 2 == 0)
    step = 0.51 / (255 if photo.dtype == "uint8" else 65535)  # 0.5 where 12 bits become 16
    np.testing.assert_allclose(
        photo.pixels.permute(1, 2, 0).numpy(), np.broadcast_to(share[..., :colors], (*share.shape[:2], 3)), atol=step
    )
    assert (photo.alpha is None) == (colors == samples.shape[2])
    if photo.alpha is not None:
        scale = 1 if photo.alpha.dtype.kind == "f" else np.iinfo(photo.alpha.dtype).max
        np.testing.assert_allclose(photo.alpha / scale, share[..., -1], atol=step)


def pixels(path: Path) -> np.ndarray:
    """As 8-bit (H, W, 3)."""
    return (load_photo(path).pixels.permute(1, 2, 0) * 255).round().numpy()


def shown(path: Path) -> np.ndarray:
    """The same by Pillow."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def smooth(channels: int, dtype: str = "u1") -> np.ndarray:
    """Waves that lossy codecs keep nearly."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.stack([127 + 90 * np.sin(x / (9 + c) + y / (7 + c)) for c in range(channels)], -1)
    return (waves * (1 if dtype == "u1" else 257)).astype(dtype)


def write(path: Path, samples: np.ndarray, bits: int = 8, **options: Any) -> None:
    """A TIFF file, with the options of ``tiff_files.write``."""
    path.write_bytes(tiff_files.write(samples, bits, **options))
