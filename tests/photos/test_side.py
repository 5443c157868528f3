"""Files beside a photo: kernels as small pictures, and masks that say something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from zeroair_pl.errors import InputError
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.side import SideFiles, with_side
from zeroair_pl.photos.source import Source


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "photo.png"
    Image.new("RGB", (24, 20), (90, 100, 110)).save(path)
    return Source(path, "photo")


@pytest.mark.parametrize("name", ["kernel.png", "kernel.tif"])
def test_a_kernel_may_be_a_smaller_picture_than_any_photo(source: Source, tmp_path: Path, name: str) -> None:
    line = np.zeros((9, 7), np.uint8)
    line[4] = 255
    if name.endswith("tif"):
        tifffile.imwrite(tmp_path / name, line)
    else:
        Image.fromarray(line).save(tmp_path / name)
    kernel = SideFiles(kernel=tmp_path / name).read(source, load_photo(source.path)).side["kernel"]
    torch.testing.assert_close(kernel, torch.from_numpy(line / line.sum()).float())
    with pytest.raises(InputError, match="7x9 px is too small"):
        load_photo(tmp_path / name)


def test_a_mask_without_white_is_refused_but_a_black_one_says_that_nothing_is_missing(
    source: Source, tmp_path: Path
) -> None:
    """As programs save a mask of truth values: 0 and 1 out of 255. The hole was left without a word."""
    photo, mask = load_photo(source.path), tmp_path / "mask.png"
    Image.fromarray((np.arange(480).reshape(20, 24) < 100).astype(np.uint8)).save(mask)
    with pytest.raises(
        InputError, match=r"mask\.png: nothing in the mask is white, its largest value is 0\.00392 of 1"
    ):
        SideFiles(missing=mask).read(source, photo)
    Image.new("L", (24, 20)).save(mask)
    assert not SideFiles(missing=mask).read(source, photo).side["missing"].any()


def test_a_mask_with_every_pixel_missing_is_refused(source: Source, tmp_path: Path) -> None:
    photo = load_photo(source.path)
    Image.new("L", (24, 20), 255).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png: the mask is white everywhere"):
        SideFiles(missing=tmp_path / "mask.png").read(source, photo)
    with pytest.raises(InputError, match="missing: the mask is white everywhere"):
        with_side(photo, {"missing": np.ones((20, 24), bool)})
