"""Camera raw files for the tests: a DNG that LibRaw develops to known colors, and the layouts of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers import tiff_files

HEIGHT, WIDTH = 96, 128
GAIN = (2.0, 1.0, 1.5)  # of the camera's white balance
_BLACK, _SPAN = 64, 4000
# XYZ to linear sRGB (IEC 61966-2-1): a camera with this ColorMatrix sees sRGB.
_XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)


def scene() -> np.ndarray:
    """Linear light (H, W, 3), rising in red to the right and in green to the bottom."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([0.2 + 0.5 * x / WIDTH, 0.2 + 0.5 * y / HEIGHT, 0.3 + 0 * x], -1)


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear light by the curve of sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def sensor() -> np.ndarray:
    """What a sensor with the color filters RGGB records of the scene, (H, W) uint16."""
    seen = scene() / np.array(GAIN)
    mosaic = seen[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = seen[0::2, 0::2, 0], seen[1::2, 1::2, 2]
    return (mosaic * _SPAN + _BLACK).round().astype(np.uint16)


def dng(orientation: int = 1, rows: int = HEIGHT) -> bytes:
    """The smallest DNG (specification 1.7): one picture, of the sensor; ``rows`` of it are there."""
    matrix = [part for value in _XYZ_TO_SRGB for part in (round(value * 10000), 10000)]
    neutral = [part for value in GAIN for part in (round(10000 / value), 10000)]
    tags: dict[int, tuple[str, Any]] = {254: ("I", 0), 256: ("I", WIDTH), 257: ("I", HEIGHT), 258: ("H", 16)}
    tags |= {
        259: ("H", 1),
        262: ("H", 32803),
        271: ("s", b"Maker\0"),
        272: ("s", b"Camera 1\0"),
        274: ("H", orientation),
    }
    tags |= {277: ("H", 1), 278: ("I", HEIGHT), 284: ("H", 1), 33421: ("H", [2, 2]), 33422: ("B", [0, 1, 1, 2])}
    tags |= {50706: ("B", [1, 4, 0, 0]), 50707: ("B", [1, 1, 0, 0]), 50708: ("s", b"Maker Camera 1\0")}
    tags |= {50714: ("H", _BLACK), 50717: ("H", _SPAN + _BLACK), 50721: ("r", matrix), 50728: ("R", neutral)}
    tags[50778] = ("H", 21)
    return tiff_files.assemble(tags, [sensor()[:rows].astype("<u2").tobytes()], "<", tiled=False, big=False)


def with_preview(photometric: int, *, order: str = "<", tags: dict[int, tuple[str, Any]] | None = None) -> bytes:
    """A 32 x 24 RGB preview in the first directory, and the picture of 128 x 96 in a SubIFD, as Nikon and Sony do."""
    preview = np.full((24, 32, 3), 90, np.uint8)
    inner: dict[int, tuple[str, Any]] = {254: ("I", 0), 256: ("I", WIDTH), 257: ("I", HEIGHT), 258: ("H", 16)}
    inner |= {259: ("H", 1), 262: ("H", photometric), 277: ("H", 1), 278: ("I", HEIGHT), 284: ("H", 1)}
    body = sensor().astype("<u2" if order == "<" else ">u2").tobytes()
    offset = 8 + len(body)
    head = tiff_files.assemble(inner, [body], order, tiled=False, big=False)
    outer: dict[int, tuple[str, Any]] = {254: ("I", 1), 256: ("I", 32), 257: ("I", 24), 258: ("H", [8, 8, 8])}
    outer |= {259: ("H", 1), 262: ("H", 2), 277: ("H", 3), 278: ("I", 24), 284: ("H", 1), 330: ("I", offset)}
    return tiff_files.assemble(
        {**outer, **(tags or {})}, [preview.tobytes()], order, tiled=False, big=False, before=head
    )
