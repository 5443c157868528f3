"""Channels of a TIFF besides its colors come back as they were: masks, and alpha, straight or premultiplied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from helpers.photo_files import noise, round_trip
from helpers.tiff_content import content
from helpers.tiff_files import write
from zeroair_pl.errors import InputError
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.writing import save_photo

MASK, PREMULTIPLIED, STRAIGHT = 0, 1, 2
BITS = {"u1": 8, "u2": 16, "f4": 32}


def again(path: Path, samples: np.ndarray, **options: Any) -> tuple[tuple[int, ...], np.ndarray]:
    """ExtraSamples and samples of a file after it was loaded and saved unchanged."""
    path.write_bytes(write(samples, BITS[samples.dtype.str[1:]], **options))
    with tifffile.TiffFile(round_trip(path)) as tiff:
        page = tiff.pages.first
        return tuple(int(kind) for kind in page.extrasamples), page.asarray()


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("photometric, colors", [(1, 1), (2, 3)])
@pytest.mark.parametrize(
    "kinds", [(MASK,), (STRAIGHT, MASK), (MASK, STRAIGHT), (MASK, MASK, MASK), (STRAIGHT, STRAIGHT)]
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_all_channels_are_kept(
    tmp_path: Path, kinds: tuple[int, ...], photometric: int, colors: int, dtype: str, planar: bool, orientation: int
) -> None:
    samples = content(colors + len(kinds), BITS[dtype], dtype)
    options = {"photometric": photometric, "extra": kinds, "planar": planar, "tags": {274: ("H", orientation)}}
    after, result = again(tmp_path / "x.tif", samples, **options)
    assert after == kinds
    np.testing.assert_array_equal(result, samples)
    photo = load_photo(tmp_path / "x.tif")
    assert (photo.alpha is None) == (STRAIGHT not in kinds)


def test_channels_of_a_cmyk_file_are_kept(tmp_path: Path) -> None:
    samples = content(6, 8, "u1")
    samples[..., 3] = 0  # without black, CMYK survives the way through RGB
    kinds, result = again(tmp_path / "x.tif", samples, photometric=5, extra=(MASK, STRAIGHT))
    assert kinds == (MASK, STRAIGHT)
    np.testing.assert_array_equal(result, samples)


def test_a_mask_hides_nothing(tmp_path: Path) -> None:
    """It is neither transparency in the photo, nor in a PNG of it."""
    samples = content(4, 16, "u2")
    samples[..., 3] = 0
    (tmp_path / "x.tif").write_bytes(write(samples, 16, extra=(MASK,)))
    photo = load_photo(tmp_path / "x.tif")
    np.testing.assert_array_equal((photo.pixels.double() * 65535).round().permute(1, 2, 0).numpy(), samples[..., :3])
    save_photo(tmp_path / "y.png", photo.pixels, photo)
    assert load_photo(tmp_path / "y.png").alpha is None


@pytest.mark.parametrize("kinds", [(PREMULTIPLIED,), (PREMULTIPLIED, MASK), (MASK, PREMULTIPLIED)])
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("colors", [1, 3])
def test_premultiplied_alpha_stays_premultiplied(
    tmp_path: Path, colors: int, dtype: str, kinds: tuple[int, ...]
) -> None:
    top = 1 if dtype == "f4" else 2 ** BITS[dtype] - 1
    samples = content(colors + len(kinds), BITS[dtype], dtype)
    at = colors + kinds.index(PREMULTIPLIED)
    straight = samples[..., :colors] / top
    samples[..., :colors] = (
        np.floor(straight * samples[..., at : at + 1]) if top > 1 else straight * samples[..., at : at + 1]
    )
    after, result = again(tmp_path / "x.tif", samples, photometric=1 if colors == 1 else 2, extra=kinds)
    assert after == kinds
    if top > 1:
        np.testing.assert_array_equal(result, samples)
    else:
        np.testing.assert_allclose(result, samples, atol=2e-4)  # what is all but invisible has no color of its own
    photo = load_photo(tmp_path / "x.tif")
    seen = samples[..., at] > 0.5 * top
    found = photo.pixels.permute(1, 2, 0).numpy()[..., :colors]
    np.testing.assert_allclose(found[seen], straight[seen], atol=3 / 255 if dtype == "u1" else 1e-4)


def test_a_single_channel_that_nothing_is_said_of_is_alpha(tmp_path: Path) -> None:
    """As Pillow and libtiff take it; OpenCV writes such files."""
    for channels in (2, 4):
        (tmp_path / "x.tif").write_bytes(write(noise(channels), 8))
        np.testing.assert_array_equal(load_photo(tmp_path / "x.tif").alpha, noise(channels)[..., -1])
    (tmp_path / "x.tif").write_bytes(write(content(5, 8, "u1"), 8))
    with pytest.raises(InputError, match="2 channels besides the colors, of which its tag ExtraSamples describes 0"):
        load_photo(tmp_path / "x.tif")
    (tmp_path / "x.tif").write_bytes(write(content(6, 8, "u1"), 8, extra=(MASK, STRAIGHT)))
    with pytest.raises(InputError, match="3 channels besides the colors, of which its tag ExtraSamples describes 2"):
        load_photo(tmp_path / "x.tif")
