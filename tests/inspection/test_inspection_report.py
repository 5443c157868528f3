"""Pictures for people must show the right pixels at the right place, and be written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.inspection import pictures
from zeroair_pl.inspection.report import contact_sheet, save_map, save_strip


@pytest.fixture(scope="module")
def photos() -> Tensor:
    rows, columns = torch.linspace(0, 1, 24)[:, None], torch.linspace(0, 1, 32)[None]
    first = torch.stack([rows * columns, rows.expand(24, 32), columns.expand(24, 32)])
    return 0.5 * torch.stack([first, 1 - first])


def test_strip_file_holds_before_and_after(photos: Tensor, tmp_path: Path) -> None:
    before, after = photos[:1].repeat(1, 1, 8, 8), photos[1].repeat(1, 8, 8)  # 192 × 256
    save_strip(tmp_path / "new" / "strip.png", before, after)
    array = np.asarray(Image.open(tmp_path / "new" / "strip.png"))
    assert array.shape == (pictures.LINE + 192 + pictures.GAP, 2 * 256 + 3 * pictures.GAP, 3)
    rows = slice(pictures.LINE, pictures.LINE + 192)
    for x, photo in ((pictures.GAP, before[0]), (2 * pictures.GAP + 256, after)):
        assert np.array_equal(array[rows, x : x + 256], (photo * 255).round().byte().permute(1, 2, 0).numpy())
    assert array[: pictures.LINE].min() < 100, "no caption"
    save_strip(tmp_path / "strip.jpg", before.bfloat16(), after, {"gamma": torch.full((1, 1, 1, 1), 2.2)})
    assert Image.open(tmp_path / "strip.jpg").format == "JPEG"
    assert Image.open(tmp_path / "strip.jpg").width > array.shape[1]


@pytest.mark.parametrize("size, shown", [((2000, 1000), (640, 320)), ((16, 20), (128, 160)), ((20, 4000), (9, 1800))])
def test_strips_fit_any_photo(size: tuple[int, int], shown: tuple[int, int], tmp_path: Path) -> None:
    photo = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    save_strip(tmp_path / "s.png", photo, photo)
    width, height = Image.open(tmp_path / "s.png").size
    assert height == pictures.LINE + shown[0] + pictures.GAP
    assert width == 2 * shown[1] + 3 * pictures.GAP


def test_reports_are_written_whole_or_not_at_all(
    photos: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "strip.png"
    save_strip(path, photos[0], photos[1])
    kept = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    for write in (
        lambda: save_strip(path, photos[1], photos[0]),
        lambda: save_map(path, photos[:1]),
        lambda: contact_sheet(path, [("a", [photos[0]])], ["y"]),
    ):
        with pytest.raises(InputError, match=r"strip\.png.*No space left"):
            write()
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ConfigError, match=r"strip\.txt.*\.png"):
        save_strip(tmp_path / "strip.txt", photos[0], photos[1])


def test_maps_are_colored_from_their_smallest_to_their_largest_value(tmp_path: Path) -> None:
    ramp = torch.linspace(0.2, 0.7, 160).expand(1, 1, 40, 160)
    save_map(tmp_path / "t.png", ramp)
    array = np.asarray(Image.open(tmp_path / "t.png")).astype(int)
    assert array.shape[:2] == (40 + pictures.LINE, 160)
    assert array[0, 0].tolist() == [68, 1, 84]
    assert array[0, -1].tolist() == [253, 231, 36]
    brightness = array[0] @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > 0).all()


def test_a_constant_map_is_not_shown_as_its_rounding_errors(tmp_path: Path) -> None:
    save_map(tmp_path / "c.png", 0.5 + 1e-7 * torch.rand(1, 1, 64, 64))
    picture = np.asarray(Image.open(tmp_path / "c.png").crop((0, 0, 64, 64)))
    assert np.ptp(picture, axis=(0, 1)).max() <= 1


def test_colors_stay_as_they_are_and_numbers_become_swatches(photos: Tensor, tmp_path: Path) -> None:
    save_map(tmp_path / "rgb.png", photos[:1])
    stored = np.asarray(Image.open(tmp_path / "rgb.png"))
    assert np.array_equal(stored, (photos[0] * 255).round().byte().permute(1, 2, 0).numpy())
    save_map(tmp_path / "airlight.png", torch.tensor([0.2, 0.4, 0.6])[None, :, None, None])
    assert Image.open(tmp_path / "airlight.png").getpixel((5, 5)) == (51, 102, 153)
    save_map(tmp_path / "gamma.png", torch.full((1, 1, 1, 1), 2.2))
    assert np.asarray(Image.open(tmp_path / "gamma.png")).min() < 60, "the number is not written"
    save_map(tmp_path / "flow.png", torch.rand(1, 2, 130, 140))
    assert Image.open(tmp_path / "flow.png").size == (2 * 140 + pictures.GAP, 130 + pictures.LINE)
    save_map(tmp_path / "nan.png", torch.full((1, 1, 130, 140), torch.nan))


def test_contact_sheet_puts_each_picture_in_its_cell(photos: Tensor, tmp_path: Path) -> None:
    flat = [torch.full((3, 100, 200), v) for v in (0.2, 0.4, 0.6)]
    rows: list[tuple[str, list[Tensor | None]]] = [
        ("first", [flat[0], flat[1], None]),
        ("second " * 50, [flat[2], photos[0], flat[0]]),
    ]
    contact_sheet(tmp_path / "s.png", rows, ["degraded", "restored", "truth"], [["", "21.4 dB", ""]] * 2, cell=160)
    sheet = Image.open(tmp_path / "s.png")
    cell, gap, line = 160, pictures.GAP, pictures.LINE
    assert sheet.size == (3 * cell + 4 * gap, line + (line + 80 + line + gap) + (line + 120 + line + gap))
    first, second = 2 * line + 40, 2 * line + 80 + line + gap + line + 40
    column = [gap + i * (cell + gap) + 80 for i in range(3)]
    assert [sheet.getpixel((x, first)) for x in column] == [(51,) * 3, (102,) * 3, pictures.PAPER]
    assert [sheet.getpixel((x, second)) for x in (column[0], column[2])] == [(153,) * 3, (51,) * 3]
    with pytest.raises(ValueError, match="'first': expected 2 pictures"):
        contact_sheet(tmp_path / "s.png", rows, ["degraded", "restored"])
