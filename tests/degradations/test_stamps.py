"""A date in a corner of a photo is found and filled; bright things that are no date stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from helpers.scenes import PHOTOS, clean, crop, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import LowLight
from zeroair_pl.degradations.maps import thumbnail
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.stamps import stamp_in
from zeroair_pl.degradations.statistics import statistics

ORANGE, RED, WHITE = (255, 140, 20), (255, 60, 40), (250, 250, 250)


def stamped(y: Tensor, text: str, color: tuple[int, int, int], at: tuple[float, float], size: int = 16) -> Tensor:
    """``y`` (1, 3, H, W) with a text printed at a place, which is stated as shares of the width and the height."""
    picture = Image.fromarray((255 * y[0]).round().byte().permute(1, 2, 0).numpy())
    place = (at[0] * picture.width, at[1] * picture.height)
    ImageDraw.Draw(picture).text(place, text, fill=color, font=ImageFont.load_default(size))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("color", [ORANGE, RED])
@pytest.mark.parametrize("text, at", [("'98 12 25", (0.65, 0.88)), ("14:05", (0.06, 0.88)), ("03 7 '94", (0.65, 0.03))])
def test_a_date_in_a_corner_is_found(color: tuple[int, int, int], text: str, at: tuple[float, float]) -> None:
    clean = crop("noise_blossom", 220) * 0.5 + 0.1
    y = stamped(clean, text, color, at)
    found = stamp_in(y)
    assert found is not None
    mask = found[0, 0] > 0
    printed = (y - clean).abs().amax(1)[0] > 0.2
    assert float(mask[printed].float().mean()) > 0.97
    assert int(mask.sum()) < 6 * int(printed.sum())


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_without_a_date_is_not_marked(name: str) -> None:
    assert stamp_in(crop(name, 240)) is None


@pytest.mark.parametrize("text, color, at", [
    ("'98 12 25", ORANGE, (0.3, 0.45)),  # in the middle of the scene
    ("I I", ORANGE, (0.8, 0.88)),  # two things are no date
    ("'98 12 25", WHITE, (0.65, 0.88)),  # white is not looked for
])  # fmt: skip
def test_what_is_no_date_in_a_warm_color_is_not_marked(
    text: str, color: tuple[int, int, int], at: tuple[float, float]
) -> None:
    assert stamp_in(stamped(crop("noise_blossom", 220) * 0.5 + 0.1, text, color, at)) is None


def test_a_tiny_photo_has_no_date() -> None:
    assert stamp_in(torch.rand(1, 3, 9, 5)) is None


def test_digits_that_all_touch_are_one_piece() -> None:
    y = crop("noise_blossom", 220) * 0.5 + 0.1
    comb = torch.zeros(12, 36)
    comb[5:7] = comb[:, ::5] = comb[:, -1] = 1
    y[..., 195:207, 150:186] = torch.lerp(y[..., 195:207, 150:186], torch.tensor(ORANGE).view(1, 3, 1, 1) / 255, comb)
    found = stamp_in(y)
    assert found is not None
    assert float(found[..., 195:207, 150:186][..., comb > 0].mean()) == 1


@pytest.mark.parametrize("side", [220, 640])
def test_a_date_does_not_change_what_is_seen_of_the_scene(side: int) -> None:
    dark = 0.2 * clean("noise_blossom", side) ** 1.3
    text = stamped(dark, "'98 12 25", ORANGE, (0.6, 0.9), side // 14)
    plain, without, raw = (statistics(seen) for seen in (looked_at(dark), looked_at(text), thumbnail(text, 128 * 128)))
    assert raw["bright_999"] > plain["bright_999"] + 0.1
    assert without["bright_999"] == pytest.approx(plain["bright_999"], abs=0.02)
    assert LowLight.severity(looked_at(text)) == pytest.approx(LowLight.severity(looked_at(dark)), rel=0.05)


def test_auto_opens_a_dark_photo_with_a_date() -> None:
    x = crop("noise_blossom", 160)
    dark = 0.2 * x**1.3
    y = stamped(dark, "'98 12 25", ORANGE, (0.5, 0.85), 13)
    method = Method.from_config("auto", sampling={"steps": 4})
    upper = slice(0, 120)
    plain, dated = (psnr(method.restore(each).image[None][..., upper, :], x[..., upper, :]) for each in (dark, y))
    assert dated > plain - 1.5


def test_despeckle_fills_a_date() -> None:
    clean = crop("noise_blossom", 160) * 0.5 + 0.1
    y = stamped(clean, "'98 12 25", ORANGE, (0.5, 0.85))
    found = Method.from_config("despeckle").restore(y).image[None]
    assert psnr(found, clean) > psnr(y, clean) + 8
    assert torch.equal(found[..., :100, :], y[..., :100, :]) or psnr(found[..., :100, :], clean[..., :100, :]) > 40
