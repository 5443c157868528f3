"""Dark corners are found, also where the scene is dark or bright in places, and made bright again."""

from __future__ import annotations

import pytest
import torch

from helpers.scenes import crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Vignette
from zeroair_pl.degradations.vignette import falloff_of, radius


@pytest.mark.parametrize("corner, gain", [(0.6, 3), (0.4, 4)])
def test_dark_corners_are_found(corner: float, gain: float) -> None:
    clean = crop("haze_workshop", 200)
    light = (1 + (corner**-0.5 - 1) * radius(200, 200).square()) ** -2  # that of a lens, no member of the family
    y = noisy(clean * light, 0.01)
    found = Method.from_config("devignette").restore(y)
    assert psnr(found.image, clean) > psnr(y, clean) + gain
    assert float(found.diagnostics["light"][0, 0]) == pytest.approx(corner, abs=0.2)


def test_a_photo_without_dark_corners_keeps_its_light() -> None:
    phi = Vignette()
    phi.initialize(crop("haze_workshop", 200), {}, lambda x, sigma: x)
    assert phi.untouched


def test_a_thing_before_a_white_wall_is_no_vignette() -> None:
    assert falloff_of(torch.ones(1, 3, 96, 96)).at_corner == 0, "what is white says nothing"
    dark = torch.exp(-3 * radius(96, 96).square()).expand(1, 3, 96, 96).clamp(max=0.95)
    phi = Vignette()
    phi.initialize(dark.clone(), {}, lambda x, sigma: x)
    assert phi.untouched, "no lens is that dark"


def test_a_scene_that_is_dark_on_one_side_is_no_vignette() -> None:
    side = torch.linspace(1, 0.3, 200).expand(1, 3, 200, 200)
    assert falloff_of(crop("haze_workshop", 200) * side).at_corner < 0.1


def test_the_light_of_the_corners_can_be_stated() -> None:
    y = torch.full((1, 3, 31, 41), 0.4)
    phi = Vignette(corner=0.5)
    phi.initialize(y, {}, lambda x, sigma: x)
    assert float(phi.invert(y)[0, 0, 0, 0]) == pytest.approx(0.8)
    assert float(phi.invert(y)[0, 0, 15, 20]) == pytest.approx(0.4)
