"""Pictures for people must show the right pixels at the right place, and be written whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.inspection.pictures import contact_sheet, encode_map, encode_strip
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


def test_sheets_are_written_whole_or_not(photos: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(path, [("a", [photos[0]])], ["y"])
    kept = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match=r"sheet\.png.*No space left"):
        contact_sheet(path, [("a", [photos[1]])], ["y"])
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


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


def test_contact_sheet_puts_each_picture_in_its_cell(photos: Tensor, tmp_path: Path) -> None:
    flat = [torch.full((3, 100, 200), v) for v in (0.2, 0.4, 0.6)]
    rows: list[tuple[str, list[Tensor | None]]] = [
        ("first", [flat[0], flat[1], None]),
        ("second " * 50, [flat[2], photos[0], flat[0]]),
    ]
    contact_sheet(tmp_path / "s.png", rows, ["degraded", "restored", "truth"], cell=160)
    sheet = Image.open(tmp_path / "s.png")
    cell, gap, line = 160, drawing.GAP, drawing.LINE
    assert sheet.size == (3 * cell + 4 * gap, line + (line + 80 + gap) + (line + 120 + gap))
    first, second = 2 * line + 40, 2 * line + 80 + gap + line + 40
    column = [gap + i * (cell + gap) + 80 for i in range(3)]
    assert [sheet.getpixel((x, first)) for x in column] == [(51,) * 3, (102,) * 3, drawing.PAPER]
    assert [sheet.getpixel((x, second)) for x in (column[0], column[2])] == [(153,) * 3, (51,) * 3]
    with pytest.raises(ValueError, match="'first': expected 2 pictures"):
        contact_sheet(tmp_path / "s.png", rows, ["degraded", "restored"])
