"""Rain: its direction is found, its light is taken away, and lines of the scene stay."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from helpers.scenes import bundled, crop, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Auto, Streaks
from zeroair_pl.degradations.streaks import direction_of, lines
from zeroair_pl.method.first_look import FirstLook


def rain(height: int, width: int, degrees: float, count: int) -> Tensor:
    """Streaks of light, (1, 1, H, W)."""
    generator = torch.Generator().manual_seed(0)
    down, across = torch.meshgrid(torch.arange(height) + 0.0, torch.arange(width) + 0.0, indexing="ij")
    turn, light = math.radians(degrees), torch.zeros(height, width)
    for place in torch.rand(count, 3, generator=generator):
        dy, dx = down - place[0] * height, across - place[1] * width
        along = dx * math.cos(turn) - dy * math.sin(turn)
        aside = dx * math.sin(turn) + dy * math.cos(turn)
        light = torch.maximum(light, (0.2 + 0.4 * place[2]) * torch.exp(-aside.square()) * (along.abs() < 15))
    return light[None, None]


@pytest.mark.parametrize("degrees", [75, 112])
def test_rain_is_found_and_removed(degrees: float) -> None:
    clean = crop("haze_workshop", 160)
    y = (clean + rain(160, 160, degrees, 30)).clamp(0, 1)
    assert math.degrees(direction_of(y).angle) == pytest.approx(degrees, abs=8)
    found = Method.from_config("derain").restore(y)
    assert psnr(found.image, clean) > psnr(y, clean) + 2
    assert found.diagnostics["streaks"].shape == (160, 160)


@pytest.mark.parametrize("degrees", [71.2, 78.8, 101.2])
def test_directions_between_the_steps_of_the_first_search_are_found(degrees: float) -> None:
    y = 0.3 + rain(160, 160, degrees, 30).expand(1, 3, 160, 160)
    assert math.degrees(direction_of(y).angle) == pytest.approx(degrees, abs=2.6)


def test_a_photo_without_rain_is_left_alone() -> None:
    clean = crop("noise_blossom", 160)
    assert Streaks.severity(clean) < 0.2
    assert psnr(Method.from_config("derain").restore(clean).image, clean) > 36


def test_auto_removes_rain_before_it_looks_for_anything_else() -> None:
    dark = 0.3 * crop("haze_workshop", 160) ** 1.2
    y = (dark + rain(160, 160, 80, 60)).clamp(0, 1)
    phi = Auto()
    phi.initialize(y, {}, FirstLook(bundled()))
    assert phi.kind == "LowLight + Streaks"
    assert "rain or snow" in phi.reason
    assert psnr(phi.explained(y), dark) > psnr(y, dark) + 3


def test_flat_lines_may_be_waves_and_steep_ones_are_rain() -> None:
    clean = crop("noise_blossom", 160)
    found = [Streaks.severity((clean + rain(160, 160, angle, 40)).clamp(0, 1)) for angle in (0, 80)]
    assert found[0] < 0.5 < found[1]


def test_lines_without_end_are_no_rain() -> None:
    y = crop("noise_blossom", 160).clone()
    y[..., 4::10] = (y[..., 4::10] + 0.3).clamp(max=1)
    assert direction_of(y).contrast > 1, "they are bright, and of one direction"
    phi = Streaks()
    phi.initialize(y, {}, lambda x, sigma: x)
    assert phi.untouched
    assert Streaks.severity(y) == 0


def test_lines_in_one_part_of_the_photo_are_no_rain() -> None:
    y = crop("noise_blossom", 160).clone()
    y[..., :50, :50] = (y[..., :50, :50] + rain(50, 50, 75, 12)).clamp(0, 1)
    assert Streaks.severity(y) < 0.1


def test_dark_lines_are_no_rain() -> None:
    clean = crop("haze_workshop", 160)
    y = (clean - rain(160, 160, 75, 60)).clamp(0, 1)
    phi = Streaks()
    phi.initialize(y, {}, lambda x, sigma: x)
    assert float(phi.get_buffer("streaks").mean()) < 0.2 * float((clean - y).mean())


def test_a_line_is_found_along_its_direction_alone() -> None:
    image = torch.zeros(1, 1, 40, 40)
    image[..., 20, 5:35] = 0.5
    along, across = lines(image, 0.0, 7, 15), lines(image, math.pi / 2, 7, 15)
    torch.testing.assert_close(along, image)
    assert float(across.abs().max()) == 0


def test_a_stated_direction_is_taken() -> None:
    y = crop("haze_workshop", 96)
    phi = Streaks(angle=37.0)
    phi.initialize(y, {}, lambda x, sigma: x)
    assert float(phi.diagnostics()["angle"]) == pytest.approx(37)
