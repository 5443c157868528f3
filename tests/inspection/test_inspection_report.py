"""Pictures for people must show the right pixels at the right place."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.inspection.pictures import encode_map, encode_strip
from zeroair_pl.tensors import drawing


@pytest.fixture(scope="module")
def photos() -> Tensor:
    rows, columns = torch.linspace(0, 1, 24)[:, None], torch.linspace(0, 1, 32)[None]
    first = torch.stack([rows * columns, rows.expand(24, 32), columns.expand(24, 32)])
    return 0.5 * torch.stack([first, 1 - first])


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_strips_hold_before_and_after(photos: Tensor) -> None:
    before, after = photos[:1].repeat(1, 1, 8, 8), photos[1].repeat(1, 8, 8)  # 192 × 256
    array = np.asarray(opened(encode_strip("strip.png", before, after)))
    assert array.shape == (drawing.LINE + 192 + drawing.GAP, 2 * 256 + 3 * drawing.GAP, 3)
    rows = slice(drawing.LINE, drawing.LINE + 192)
    for x, photo in ((drawing.GAP, before[0]), (2 * drawing.GAP + 256, after)):
        assert np.array_equal(array[rows, x : x + 256], (photo * 255).round().byte().permute(1, 2, 0).numpy())
    assert array[: drawing.LINE].min() < 100, "no caption"
    strip = opened(encode_strip("strip.jpg", before.bfloat16(), after, {"gamma": torch.full((1, 1, 1, 1), 2.2)}))
    assert strip.format == "JPEG"
    assert strip.width > array.shape[1]
    with pytest.raises(ConfigError, match=r"strip\.txt.*\.png"):
        encode_strip("strip.txt", before, after)


@pytest.mark.parametrize("size, shown", [((2000, 1000), (640, 320)), ((16, 20), (128, 160)), ((20, 4000), (9, 1800))])
def test_strips_fit_any_photo(size: tuple[int, int], shown: tuple[int, int]) -> None:
    photo = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    width, height = opened(encode_strip("s.png", photo, photo)).size
    assert height == drawing.LINE + shown[0] + drawing.GAP
    assert width == 2 * shown[1] + 3 * drawing.GAP


def test_maps_are_colored_from_their_smallest_to_their_largest_value() -> None:
    ramp = torch.linspace(0.2, 0.7, 160).expand(1, 1, 40, 160)
    array = np.asarray(opened(encode_map("t.png", ramp))).astype(int)
    assert array.shape[:2] == (40 + drawing.LINE, 160)
    assert array[0, 0].tolist() == [68, 1, 84]
    assert array[0, -1].tolist() == [253, 231, 36]
    brightness = array[0] @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > 0).all()


def test_a_constant_map_is_not_shown_as_its_rounding_errors() -> None:
    map_ = 0.5 + 1e-7 * torch.rand(1, 1, 64, 64)
    picture = np.asarray(opened(encode_map("c.png", map_)).crop((0, 0, 64, 64)))
    assert np.ptp(picture, axis=(0, 1)).max() <= 1


def test_colors_stay_as_they_are_and_numbers_become_swatches(photos: Tensor) -> None:
    stored = np.asarray(opened(encode_map("rgb.png", photos[:1])))
    assert np.array_equal(stored, (photos[0] * 255).round().byte().permute(1, 2, 0).numpy())
    airlight = torch.tensor([0.2, 0.4, 0.6])[None, :, None, None]
    assert opened(encode_map("airlight.png", airlight)).getpixel((5, 5)) == (51, 102, 153)
    gamma = opened(encode_map("gamma.png", torch.full((1, 1, 1, 1), 2.2)))
    assert np.asarray(gamma).min() < 60, "the number is not written"
    flow = opened(encode_map("flow.png", torch.rand(1, 2, 130, 140)))
    assert flow.size == (2 * 140 + drawing.GAP, 130 + drawing.LINE)
    opened(encode_map("nan.png", torch.full((1, 1, 130, 140), torch.nan)))
