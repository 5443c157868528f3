"""TIFF as photo editors and scanners write it: deep samples, arrangements, compressions, CMYK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers.photo_files import HEIGHT, SRGB, WIDTH, ink_profile, noise, round_trip, smooth, write_tiff
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
