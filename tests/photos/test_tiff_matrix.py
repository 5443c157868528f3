"""Every TIFF that is read is read right: codec by planes by layout by depth by channels by byte order by predictor.

What is expected is the array that was written, by a writer of the tests' own. Pillow (through libtiff) and OpenCV read
the same file where they can, so that the writer cannot be wrong in the same way as the reader.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers import tiff_files
from helpers.tiff_content import DEPTHS, FLOATS, HEIGHT, WIDTH, close, content, pixels, shown, smooth
from helpers.tiff_files import CODECS
from zeroair_pl.photos.reading import load_photo

EXTRA: dict[int, tuple[int, ...] | None] = {1: None, 2: (2,), 3: None, 4: (2,)}


def seconded(path: Path, samples: np.ndarray, bits: int, *, planar: bool, codec: str, order: str) -> str | None:
    """Which other decoder read the same from the file; None for what is known to be beyond all of them.

    Pillow mixes up separate planes of two channels; OpenCV those of 16 bits with LZW, which this test came from.
    """
    channels, dtype = samples.shape[2], samples.dtype.str[1:]
    if codec == "lzma":
        return None
    if (bits == 8 and not (planar and channels == 2)) or (channels == 1 and (bits == 1 or dtype in ("u2", "f4"))):
        if bits in (10, 14) or (bits in (12, 32) and order == ">"):  # the latter without bytes swapped
            return None
        with Image.open(path) as image:
            read = np.atleast_3d(np.asarray(image))
        np.testing.assert_array_equal(read.astype(samples.dtype), samples)
        return "Pillow"
    if (bits, dtype) in ((16, "u2"), (32, "f4")) and channels == 3 and not planar and codec != "zstd":
        np.testing.assert_array_equal(np.flip(np.asarray(cv2.imread(str(path), -1)), 2), samples)
        return "OpenCV"
    return None


@pytest.mark.parametrize("tile", [0, 16])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("codec", CODECS)
def test_codec_planes_layout_depth_channels_order_predictor(
    tmp_path: Path, codec: str, planar: bool, tile: int
) -> None:
    path = tmp_path / "x.tif"
    seconds: Counter[str | None] = Counter()
    for bits, dtype in [*DEPTHS.items(), *FLOATS.items()]:
        for channels in (1, 2, 3, 4):
            samples = content(channels, bits, dtype)
            predictors = [1]
            if codec not in ("none", "packbits"):
                predictors += [2] if bits in (8, 16, 32, 64) else []
                predictors += [3] if dtype[0] == "f" else []
            for order in "<>":
                for predictor in predictors:
                    options: dict[str, Any] = {"codec": codec, "planar": planar and channels > 1, "tile": tile}
                    options |= {"order": order, "predictor": predictor, "extra": EXTRA[channels]}
                    path.write_bytes(tiff_files.write(samples, bits, **options))
                    try:
                        close(load_photo(path), samples, bits)
                        other = seconded(path, samples, bits, planar=options["planar"], codec=codec, order=order)
                        seconds[other] += 1
                    except Exception as error:
                        raise AssertionError(f"{bits} bits {dtype}, {channels} channels, {options}: {error}") from error
    assert seconds["Pillow"] >= (0 if codec == "lzma" else 12)
    assert seconds["OpenCV"] >= (0 if planar or codec in ("lzma", "zstd") else 4)


IMAGE_CODECS = [
    ("jpeg", "u1", (1, 3), 20),
    ("webp", "u1", (3, 4), 40),
    ("jpeg2000", "u1", (1, 3, 4), 0),
    ("jpeg2000", "u2", (1, 3), 0),
    ("jpegxl", "u1", (1, 3), 0),
    ("jpegxl", "u2", (1, 3), 0),
    ("lerc", "u1", (1, 3), 0),
    ("lerc", "u2", (1, 3), 0),
    ("lerc", "f4", (1, 3), 0),
]


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("codec, dtype, channels, loss", IMAGE_CODECS)
def test_image_codecs(
    tmp_path: Path, codec: str, dtype: str, channels: tuple[int, ...], loss: int, planar: bool, tile: Any
) -> None:
    path = tmp_path / "x.tif"
    for count in channels:
        if planar and (count == 1 or codec == "webp"):
            continue
        samples = smooth(count, dtype) if dtype != "f4" else (smooth(count) / 255).astype(dtype)
        stored = samples.transpose(2, 0, 1) if planar else samples[..., 0] if count == 1 else samples
        options: dict[str, Any] = {"planarconfig": "separate" if planar else "contig"} if count > 1 else {}
        options |= {"extrasamples": ["unassalpha"]} if count == 4 else {}
        options |= {"compressionargs": {"level": 90}} if loss else {}
        if codec in ("jpegxl", "webp") and not loss:
            options["compressionargs"] = {"lossless": True}
        tifffile.imwrite(path, stored, photometric="rgb" if count > 2 else "minisblack", compression=codec, tile=tile,
                         rowsperstrip=None if tile else 16, metadata=None, **options)  # fmt: skip
        photo = load_photo(path)
        top = 1 if dtype == "f4" else np.iinfo(dtype).max
        expected = np.broadcast_to((samples / top)[..., : 1 if count == 1 else 3], (HEIGHT, WIDTH, 3))
        np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), expected, atol=loss / 255 + 1e-6)
        if count == 4:
            np.testing.assert_array_equal(photo.alpha, samples[..., 3])
        if codec == "jpeg":
            np.testing.assert_allclose(pixels(path), shown(path), atol=8)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "CMYK"])
def test_jpeg_in_tiff_as_libtiff_writes_it(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(smooth(3)).convert(mode)
    image.save(tmp_path / "x.tif", compression="jpeg", quality=95)
    np.testing.assert_allclose(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"), atol=6)
    np.testing.assert_allclose(pixels(tmp_path / "x.tif"), np.asarray(image.convert("RGB"), float), atol=30)


@pytest.mark.parametrize("fill", [1, 2])
@pytest.mark.parametrize("codec", ["tiff_ccitt", "group3", "group4"])
def test_fax(tmp_path: Path, codec: str, fill: int) -> None:
    bits = content(1, 1, "u1")[..., 0].astype(bool)
    Image.fromarray(bits).save(tmp_path / "x.tif", compression=codec, tiffinfo={266: fill})
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), np.dstack([bits] * 3) * 255)
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"))
