"""A photo in memory is what it is as a file, in all formats that are read; a big or a byte-swapped TIFF as well."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from helpers import heif_files
from helpers.photo_files import noise
from helpers.raw_files import dng
from zeroair_pl.photos.reading import decode_photo, load_photo


def pillow(suffix: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(noise(3)).save(out, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix), **options)
    return out.getvalue()


def tiff(dtype: str, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, noise(3, dtype), photometric="rgb", description="a note", **options)
    return out.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "png": lambda: pillow("png", dpi=(300, 300)),
    "jpg": lambda: pillow("jpg", comment=b"a note"),
    "webp": lambda: pillow("webp"),
    "bmp": lambda: pillow("bmp"),
    "avif": lambda: pillow("avif"),
    "heic": lambda: heif_files.TURNED,
    "jxl": lambda: bytes(imagecodecs.jpegxl_encode(noise(3), lossless=True)),
    "dng": dng,
    "8 bits.tif": lambda: tiff("uint8"),
    "16 bits.tif": lambda: tiff("uint16", compression="lzw", predictor=True),
    "float.tif": lambda: tiff("float32"),
    "Motorola.tif": lambda: tiff("uint16", byteorder=">"),
    "BigTIFF.tif": lambda: tiff("uint16", bigtiff=True),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_bytes_of_a_file_are_the_photo_that_the_file_is(tmp_path: Path, name: str) -> None:
    if needed := {"dng": "rawpy", "heic": "pi_heif"}.get(name):
        pytest.importorskip(needed)
    path = tmp_path / f"a {name}" if "." in name else tmp_path / f"a.{name}"
    path.write_bytes(FORMATS[name]())
    found, expected = decode_photo(path.read_bytes(), path), load_photo(path)
    for each in fields(expected):
        one, other = getattr(found, each.name), getattr(expected, each.name)
        if isinstance(other, torch.Tensor):
            assert torch.equal(one, other)
        elif isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert str(one) == str(other), each.name
