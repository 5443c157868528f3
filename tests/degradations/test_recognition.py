"""What the models of haze and darkness take gray photos, and dark things before a bright sky, for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from helpers.scenes import CLEAN, PHOTOS, as_jpeg, clean, noisy
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Auto, Haze, LowLight
from zeroair_pl.degradations.choosing import most
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.recognition_models import DARK, FOG, GRAY_DARK, GRAY_FOG
from zeroair_pl.inspection.evidence import evidence

SIDES = [160, 400, 1200]


def example(name: str, side: int) -> Tensor:
    """A real example photo with a long side of ``side`` pixels, (1, 3, H, W)."""
    image = Image.open(CLEAN.parent / "photos" / name).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255


def gray(x: Tensor) -> Tensor:
    return (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True).repeat(1, 3, 1, 1)


def against_the_sun(x: Tensor, light: float) -> Tensor:
    """A photo in little light, and above it a blue sky that is palest at the horizon, with the sun there."""
    y = light * x
    height, width = x.shape[-2] // 2, x.shape[-1]
    up, across = torch.meshgrid(torch.linspace(1, 0, height), torch.linspace(-1, 1, width), indexing="ij")
    sun = torch.exp(-(up.square() + across.square()) / 0.02)
    pale = torch.tensor([0.4, 0.25, 0.0]).view(3, 1, 1) * (1 - up)
    y[..., :height, :] = (torch.tensor([0.45, 0.6, 0.75]).view(3, 1, 1) + pale + sun).clamp(max=1)
    return y


@pytest.mark.parametrize("side", SIDES)
def test_a_dark_ground_below_the_sun_is_dark_and_not_hazy(side: int) -> None:
    y = example("dark_sunset.jpg", side)
    assert Haze.severity(y) < 0.1 < 0.4 < LowLight.severity(y)
    phi = Auto()
    phi.initialize(y, {}, blurred)
    assert phi.kind == "LowLight"
    assert phi.amount > 0.15


@pytest.mark.parametrize("name", ["dark_tulips", "noise_blossom"])
def test_things_before_the_light_are_dark_although_the_sky_is_bright(name: str) -> None:
    x = clean(name, 200)
    assert LowLight.severity(against_the_sun(x, 0.3)) > 1.5
    assert LowLight.severity(against_the_sun(x, 1.0)) < 0.05


def with_a_glass_door(x: Tensor, light: float) -> Tensor:
    """A photo in little light, with a bright door behind which it is seen mirrored."""
    y, height, width = light * x, x.shape[-2], x.shape[-1]
    door = slice(height // 5, -height // 5), slice(width // 3, width // 2)
    y[..., *door] = (1.5 * x.flip(-1)[..., *door] + 0.2).clamp(max=1)
    return y


def after_sunset(x: Tensor, light: float) -> Tensor:
    """A photo in little light, and above it a blue sky that is orange at the horizon."""
    y, height = light * x, x.shape[-2] // 2
    up = torch.linspace(1, 0, height)[:, None]
    low, high = (torch.tensor(color).view(3, 1, 1) for color in ([1.0, 0.75, 0.5], [0.35, 0.5, 0.75]))
    y[..., :height, :] = high * up + low * (1 - up)
    return y


@pytest.mark.parametrize("name", PHOTOS)
def test_a_dim_room_with_a_bright_door_is_dark(name: str) -> None:
    x = clean(name, 200)
    assert LowLight.severity(with_a_glass_door(x, 0.2)) > 0.72
    assert LowLight.severity(with_a_glass_door(x, 1.0)) < 0.05


@pytest.mark.parametrize("name", PHOTOS)
def test_a_dim_ground_after_sunset_is_dark(name: str) -> None:
    x = clean(name, 200)
    assert LowLight.severity(after_sunset(x, 0.4)) > 1 > 0.05 > LowLight.severity(after_sunset(x, 1.0))


def test_a_dark_room_in_the_blue_light_of_an_aquarium_is_not_under_water() -> None:
    x, lamp = clean("dark_tulips", 200), torch.tensor([0.2, 0.6, 1.0]).view(1, 3, 1, 1)
    y = 0.3 * x * lamp
    window = ..., slice(40, -66), slice(0, x.shape[-1] // 3)
    y[window] = (0.3 * x[window] + 0.6) * lamp
    family, share, _, _ = most(looked_at(y), 0.0)
    assert family is LowLight
    assert share > 0.9


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", ["haze_mountain.jpg", "dark_sunset.jpg"])
def test_haze_is_no_surer_without_the_colors(name: str, side: int) -> None:
    y = example(name, side)
    assert Haze.severity(gray(y)) < max(Haze.severity(y), 0.05)


@pytest.mark.parametrize("light", [1.0, 0.6, 0.45])
@pytest.mark.parametrize("name", PHOTOS)
def test_a_clean_gray_photo_is_not_in_haze(name: str, light: float) -> None:
    assert Haze.severity(gray(light * clean(name, 200))) < 0.1


@pytest.mark.parametrize("name", PHOTOS)
def test_an_even_veil_is_found_in_a_gray_photo(name: str) -> None:
    assert Haze.severity(gray(noisy(0.5 * clean(name, 200) + 0.42, 0.006))) > 1.2  # 0.1 to 1 by the model of fog alone


@pytest.mark.parametrize("light", [0.6, 0.45])
def test_darkness_is_no_surer_without_the_colors(light: float) -> None:
    x = light * clean("haze_workshop", 200)
    assert LowLight.severity(gray(x)) < LowLight.severity(x)


def heard(y: Tensor) -> dict[str, set[str]]:
    """The names of the statistics that speak for or against each family."""
    return {each.family: {spoken.name for spoken in each.speaks_for + each.speaks_against} for each in evidence(y)}


def test_evidence_for_a_gray_photo_is_not_of_its_colors() -> None:
    y = example("haze_mountain.jpg", 400)
    assert heard(gray(y))["Haze"] <= set(GRAY_FOG.terms)
    assert heard(gray(y))["LowLight"] <= set(GRAY_DARK.terms)
    assert heard(y)["Haze"] <= set(FOG.terms)
    assert heard(y)["LowLight"] <= set(DARK.terms)


def test_the_darkness_of_a_photo_that_loses_its_colors_has_no_jump() -> None:
    x = example("dark_shore.png", 160)
    faded = [torch.lerp(gray(x), x, float(share)) for share in torch.linspace(0, 1, 41)]
    severities = [LowLight.severity(y) for y in faded]
    assert min(severities) > 1
    assert max(abs(a - b) for a, b in pairwise(severities)) < 0.1


@pytest.mark.parametrize("hue", [(1.0, 1.0, 1.0), (0.6, 0.8, 1.4)])
def test_faint_stars_are_not_too_dark(hue: tuple[float, float, float]) -> None:
    y = 0.05 * torch.tensor(hue).view(1, 3, 1, 1).repeat(1, 1, 200, 200)
    places = torch.randint(4, 196, (2, 300), generator=torch.Generator().manual_seed(0))
    y[..., places[0], places[1]] = 0.3
    assert LowLight.severity(y) < 0.05
    assert LowLight.severity(0.2 * clean("noise_blossom", 200)) > 0.9


def on_a_screen(lines: int, ground: float = 0.05, ink: float = 0.35, side: int = 240) -> Tensor:
    """Lines of text on a dark ground, (1, 3, H, W)."""
    picture = Image.new("RGB", (side * 4 // 3, side), tuple(round(255 * ground * each) for each in (1, 1, 1.2)))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(side // 20)
    for k in range(1, lines + 1):
        pen.text(
            (side // 20, k * side // 16),
            f"{k}: a line of dim text, and {k * k} more",
            font=font,
            fill=round(255 * ink) * 0x10101,
        )
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("quality", [0, 90, 75])
@pytest.mark.parametrize("lines", [2, 14])
def test_text_on_a_dim_screen_stays_dim(lines: int, quality: int) -> None:
    y = on_a_screen(lines)
    y = as_jpeg(y, quality)[1] if quality else y
    assert most(looked_at(y), 0.0)[1] < 0.03
    assert LowLight.severity(looked_at(0.2 * clean("noise_blossom", 240) ** 1.3)) > 1
