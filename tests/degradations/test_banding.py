"""Photos with few values: which are left out, and what lies between them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers.scenes import PHOTOS, crop, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Banding
from zeroair_pl.degradations.banding import intervals_of


def rounded(x: Tensor, bits: int) -> Tensor:
    steps = 2**bits - 1
    return (255 * ((x * steps).round() / steps)).round() / 255


@pytest.mark.parametrize("bits, gain", [(3, 2.5), (4, 2.5), (5, 1.5)])
def test_a_photo_with_few_bits_becomes_smooth(bits: int, gain: float) -> None:
    clean = crop("haze_workshop", 128)
    y = rounded(clean, bits)
    found = Method.from_config("deband").restore(y)
    assert psnr(found.image, clean) > psnr(y, clean) + gain
    assert found.diagnostics["width"].item() == pytest.approx(1 / (2**bits - 1), rel=0.1)
    steps = 2**bits - 1
    assert float(((found.image * steps).round() / steps - y).abs().mean()) < 0.004, "each value stays in its interval"


def test_bits_that_were_cut_off_made_the_photo_darker() -> None:
    clean = crop("dark_tulips", 128)
    clean = clean / clean.max()  # the interval of the highest value shows what was done
    y = (255 * clean).floor().div(16).floor() * 16 / 255
    low, high = intervals_of(y)
    assert float(low[0, 32] * 255) == pytest.approx(31.5)
    assert float(high[0, 32] * 255) == pytest.approx(47.5)
    found = Method.from_config("deband").restore(y)
    assert abs(float(found.image.mean() - clean.mean())) < abs(float(y.mean() - clean.mean())) / 3
    assert psnr(found.image, clean) > psnr(y, clean) + 5


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("side", [24, 160])
def test_a_photo_with_all_values_stays_as_it_is(name: str, side: int) -> None:
    """Also a small one, in which some values do not occur by chance."""
    y = (crop(name, side) * 255).round() / 255
    assert torch.equal(Method.from_config("deband").restore(y).image, y)


def test_values_that_a_raised_contrast_leaves_out_are_found() -> None:
    dim = (255 * (0.3 + 0.25 * crop("haze_workshop", 128))).round() / 255
    y = (255 * ((dim - 0.3) / 0.25).clamp(0, 1)).round() / 255
    phi = Banding()
    phi.initialize(y, {}, lambda x, sigma: x)
    assert 255 * float(phi.diagnostics()["width"]) == pytest.approx(4, abs=0.3)
    assert not phi.untouched
