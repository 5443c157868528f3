"""TIFF as photo editors and scanners write it: deep samples, arrangements, compressions, CMYK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers.photo_files import (
    HEIGHT,
    SRGB,
    WIDTH,
    ink_profile,
    noise,
    round_trip,
    smooth,
    with_orientation,
    write_tiff,
)
from zeroair_pl.photos.reading import load_photo


@pytest.mark.parametrize("dtype", ["uint16", "float16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_tiff(tmp_path: Path, dtype: str, channels: int) -> None:
    path = tmp_path / "x.TIFF"
    array = noise(channels, dtype)
    write_tiff(path, array, orientation=8)
    after = round_trip(path)
    assert after.name == "x.TIFF"
    with tifffile.TiffFile(after) as tiff:
        page = tiff.pages.first
        assert (page.tags[274].value, page.tags[271].value, page.iccprofile) == (8, "Maker", SRGB)
        result = page.asarray()
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize("channels", [1, 3])
def test_float64_tiff_keeps_its_depth(tmp_path: Path, channels: int) -> None:
    write_tiff(tmp_path / "x.tif", noise(channels, "float64"))
    result = tifffile.imread(round_trip(tmp_path / "x.tif"))
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, noise(channels, "float64"), atol=1e-7)  # the working precision


@pytest.mark.parametrize("orientation", [1, 4, 5])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lzw_tiff_of_16_bits(tmp_path: Path, channels: int, orientation: int) -> None:
    """The compression that photo editors write; tifffile alone cannot read it."""
    array = noise(channels, "uint16")
    swapped = array if channels == 1 else array[..., [2, 1, 0, 3][:channels]]
    encoded = cv2.imencode(".tif", swapped, [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW])[1]
    (tmp_path / "x.tif").write_bytes(with_orientation(encoded.tobytes(), orientation))
    with tifffile.TiffFile(tmp_path / "x.tif") as tiff:
        assert (int(tiff.pages.first.compression), tiff.pages.first.tags[274].value) == (5, orientation)
    after = round_trip(tmp_path / "x.tif")
    np.testing.assert_array_equal(tifffile.imread(after), array)
    with tifffile.TiffFile(after) as tiff:
        assert tiff.pages.first.tags[274].value == orientation
    assert load_photo(tmp_path / "x.tif").size == ((WIDTH, HEIGHT) if orientation == 5 else (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    "options",
    [{"planarconfig": "separate"}, {"byteorder": ">"}, {"tile": (16, 16)}, {"compression": "zlib", "predictor": True}],
)
def test_arrangements_of_16_bit_tiff(tmp_path: Path, options: dict[str, Any]) -> None:
    array = noise(3, "uint16")
    stored = array.transpose(2, 0, 1) if "planarconfig" in options else array
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", **options)
    np.testing.assert_array_equal(tifffile.imread(round_trip(tmp_path / "x.tif")), array)


def test_white_is_zero_tiff_of_16_bits_is_not_a_negative(tmp_path: Path) -> None:
    array = noise(1, "uint16")
    tifffile.imwrite(tmp_path / "x.tif", 65535 - array, photometric="miniswhite")
    photo = load_photo(tmp_path / "x.tif")
    np.testing.assert_array_equal((photo.pixels[0].double() * 65535).round().numpy(), array)
    np.testing.assert_array_equal(tifffile.imread(round_trip(tmp_path / "x.tif")), array)  # as black is zero


def test_premultiplied_tiff_gets_its_colors_back(tmp_path: Path) -> None:
    color, alpha = noise(3, "uint16"), np.full((HEIGHT, WIDTH, 1), 32768, np.uint16)
    alpha[0] = 0
    stored = np.dstack([(color.astype(float) * (alpha / 65535)).round().astype(np.uint16), alpha])
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    photo = load_photo(tmp_path / "x.tif")
    np.testing.assert_allclose(photo.pixels[:, 1:].numpy().transpose(1, 2, 0) * 65535, color[1:], atol=1.5)
    assert photo.pixels[:, 0].max() == 0


def test_float_tiff_beyond_one_is_scaled_and_scaled_back(tmp_path: Path) -> None:
    array = noise(3, "float32") * 255
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="rgb")
    photo = load_photo(tmp_path / "x.tif")
    assert photo.pixels.max() == 1
    np.testing.assert_allclose(tifffile.imread(round_trip(tmp_path / "x.tif")), array, rtol=1e-6)


def test_cmyk_with_a_profile_keeps_it_and_the_colors(tmp_path: Path) -> None:
    profile = ink_profile()
    inks = smooth(4)
    inks[..., 3] //= 4
    Image.fromarray(inks, "CMYK").save(tmp_path / "x.tif", icc_profile=profile)
    photo = load_photo(tmp_path / "x.tif")
    after = round_trip(tmp_path / "x.tif")
    with Image.open(after) as image:
        assert (image.mode, image.info["icc_profile"]) == ("CMYK", profile)
        unmanaged = np.asarray(image.convert("RGB"), float).transpose(2, 0, 1)
    again = load_photo(after)
    assert (again.pixels - photo.pixels).abs().mean() < 3 / 255
    assert np.abs(again.pixels.numpy() * 255 - unmanaged).mean() > 20  # the profile was used, and it matters


def test_tiff_thumbnail_page_is_passed_over(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as tiff:
        tiff.write(noise(3), photometric="rgb")
        tiff.write(noise(3)[::2, ::2], photometric="rgb", subfiletype=1)
    assert load_photo(tmp_path / "x.tif").size == (HEIGHT, WIDTH)
