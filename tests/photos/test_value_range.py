"""White is found from a file's tag and its values, outliers aside; what lies beyond comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch

from helpers.photo_files import make_png, round_trip
from helpers.tiff_content import HEIGHT, WIDTH
from helpers.tiff_files import write
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.value_range import white_of
from zeroair_pl.photos.writing import save_photo

MAX_SAMPLE = 281


def ramp(top: float, dtype: str, channels: int = 3) -> np.ndarray:
    values = np.linspace(0, top, HEIGHT * WIDTH * channels).reshape(HEIGHT, WIDTH, channels)
    return values.astype(dtype)


def again(path: Path, samples: np.ndarray, **tags: int) -> np.ndarray:
    fields: dict[int, tuple[str, Any]] = {MAX_SAMPLE: ("H", [tags["largest"]] * samples.shape[2])} if tags else {}
    path.write_bytes(write(samples, samples.dtype.itemsize * 8, tags=fields))
    return tifffile.imread(round_trip(path))


@pytest.mark.parametrize(
    "top, white", [(200, 255), (900, 1023), (3800, 4095), (4095, 4095), (4096, 65535), (60000, 65535)]
)
def test_sensor_numbers_in_16_bits_use_their_own_range(tmp_path: Path, top: int, white: int) -> None:
    samples = ramp(top, "u2")
    np.testing.assert_array_equal(again(tmp_path / "x.tif", samples), samples)
    photo = load_photo(tmp_path / "x.tif")
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy() * white, samples, rtol=1e-5)
    png = tmp_path / "png" / "x.png"
    png.parent.mkdir()
    png.write_bytes(make_png(samples, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"))
    np.testing.assert_allclose(load_photo(png).pixels.max(), top / white, rtol=1e-5)
    np.testing.assert_array_equal(np.flip(np.asarray(cv2.imread(str(round_trip(png)), -1)), 2), samples)


@pytest.mark.parametrize("stated, white", [(16383, 16383), (4095, 4095), (9000, 65535), (511, 65535), (65535, 65535)])
def test_the_tag_counts_where_it_is_a_number_of_bits_that_the_values_keep_to(
    tmp_path: Path, stated: int, white: int
) -> None:
    top = 9000 if stated != 4095 else 700  # 700 by itself would be 10 bits
    samples = ramp(top, "u2")
    np.testing.assert_array_equal(again(tmp_path / "x.tif", samples, largest=stated), samples)
    assert load_photo(tmp_path / "x.tif").pixels.max().item() == pytest.approx(top / white, rel=1e-4)


def test_a_restored_file_says_its_range_so_that_it_is_read_as_its_input_was(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(write(ramp(3800, "u2"), 16))
    photo = load_photo(tmp_path / "x.tif")
    save_photo(tmp_path / "y.tif", photo.pixels * 0.1, photo)  # now all below 10 bits
    assert (load_photo(tmp_path / "y.tif").pixels - photo.pixels * 0.1).abs().max() < 1 / 4095
    save_photo(tmp_path / "z.tif", torch.full_like(photo.pixels, 7), photo)
    assert tifffile.imread(tmp_path / "z.tif").max() == 4095


def test_black_and_8_bits_are_full_scale(tmp_path: Path) -> None:
    assert white_of(np.zeros((20, 20), np.uint16)) is None
    assert white_of(ramp(100, "u1")) is None


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_highlights_of_a_float_photo_leave_it_as_it_is_and_come_back(tmp_path: Path, dtype: str) -> None:
    samples = ramp(1, dtype)
    samples[2:5, 2:5] = 800
    samples[0, 0] = -0.25
    result = again(tmp_path / "x.tif", samples)
    photo = load_photo(tmp_path / "x.tif")
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), np.clip(samples, 0, 1), atol=1e-6)
    np.testing.assert_allclose(result, samples, rtol=2e-3 if dtype == "f2" else 1e-6)
    save_photo(tmp_path / "y.tif", photo.pixels * 0.5, photo)
    assert tifffile.imread(tmp_path / "y.tif")[3, 3, 0] == pytest.approx(799.5, rel=1e-3)  # on top of what was restored


def test_float_values_on_another_scale(tmp_path: Path) -> None:
    np.testing.assert_allclose(again(tmp_path / "x.tif", ramp(255, "f4")), ramp(255, "f4"), rtol=1e-6)
    assert load_photo(tmp_path / "x.tif").pixels.max() == 1
    big = np.tile(ramp(255, "f4"), (4, 4, 1))
    big[3, 3, 0] = 40_000  # one hot pixel
    (tmp_path / "hot").mkdir()
    np.testing.assert_allclose(again(tmp_path / "hot" / "x.tif", big), big, rtol=1e-6)
    assert load_photo(tmp_path / "hot" / "x.tif").pixels.mean() > 0.4


@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_lies_beyond_stays_in_its_place_in_turned_photos(tmp_path: Path, orientation: int, channels: int) -> None:
    samples = ramp(1, "f4", channels)
    samples[1, 2, 0], samples[5, 7] = 30, -2
    (tmp_path / "x.tif").write_bytes(write(samples, 32, tags={274: ("H", orientation)}))
    after = np.atleast_3d(tifffile.imread(round_trip(tmp_path / "x.tif")))
    np.testing.assert_allclose(after, samples, rtol=1e-6, atol=1e-6)


def test_a_png_of_it_has_the_range_of_a_png(tmp_path: Path) -> None:
    for name, samples in (("a", ramp(3800, "u2")), ("b", ramp(255, "f4"))):
        (tmp_path / f"{name}.tif").write_bytes(write(samples, samples.dtype.itemsize * 8))
        photo = load_photo(tmp_path / f"{name}.tif")
        save_photo(tmp_path / f"{name}.png", photo.pixels, photo)
        assert (load_photo(tmp_path / f"{name}.png").pixels - photo.pixels).abs().max() < 1e-4
