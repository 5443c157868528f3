"""Colors that a lens draws larger or smaller than green."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.scenes import PHOTOS, crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Fringe
from zeroair_pl.degradations.fringe import scaled
from zeroair_pl.errors import ConfigError


def drawn(x: Tensor, red: float, blue: float) -> Tensor:
    """``x`` (1, 3, H, W) with red and blue moved outwards by so many pixels in the corners."""
    corner = math.hypot(*x.shape[-2:]) / 2
    planes = list(x.split(1, 1))
    for channel, shift in ((0, red), (2, blue)):
        smaller = 1 / (1 + shift / corner)
        grid = F.affine_grid(torch.tensor([[[smaller, 0, 0], [0, smaller, 0]]]), [1, 1, *x.shape[-2:]], False)
        planes[channel] = F.grid_sample(planes[channel], grid, "bicubic", "border", align_corners=False)
    return torch.cat(planes, 1)


@pytest.mark.parametrize("red, blue", [(1.5, -1.0), (-2.0, 0.0)])
def test_fringes_are_found_and_removed(red: float, blue: float) -> None:
    clean = crop("haze_workshop", 192)
    y = noisy(drawn(clean, red, blue), 0.004)
    found = Method.from_config("defringe").restore(y)
    pixels = math.hypot(192, 192) / 200
    assert found.diagnostics["red"].item() * pixels == pytest.approx(red, abs=0.25)
    assert found.diagnostics["blue"].item() * pixels == pytest.approx(blue, abs=0.25)
    assert psnr(found.image, clean) > psnr(y, clean) + 6


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_without_fringes_stays_as_it_is(name: str) -> None:
    y = (crop(name, 160) * 255).round() / 255
    assert torch.equal(Method.from_config("defringe").restore(y).image, y)


def test_a_stated_shift_is_taken_as_it_is() -> None:
    y = crop("haze_workshop", 64)
    phi = Fringe(red=1.0, blue=0.0)
    phi.initialize(y, {}, lambda x, sigma: x)
    back = phi.invert(y)
    torch.testing.assert_close(back[:, :1], scaled(y[:, :1], torch.tensor([1 / 1.01])))
    torch.testing.assert_close(back[:, 1:], y[:, 1:])
    with pytest.raises(ConfigError, match=r"Fringe\.red is 9"):
        Fringe(red=9.0)


def test_a_scaled_plane_keeps_its_middle_and_its_light() -> None:
    plane = torch.zeros(1, 1, 41, 41)
    plane[..., 20, 32] = 1
    moved = scaled(plane, torch.tensor([1.25]))
    assert divmod(int(moved.argmax()), 41) == (20, 35)
    torch.testing.assert_close(
        scaled(torch.full((1, 1, 9, 12), 0.3), torch.tensor([1.1])), torch.full((1, 1, 9, 12), 0.3)
    )
