"""A faded photo gets its black and white again; other photos stay as they are."""

from __future__ import annotations

import pytest
import torch

from helpers.scenes import crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import ToneCurve
from zeroair_pl.degradations.tone_curve import ends_of


@pytest.mark.parametrize("black, white", [(0.2, 0.8), (0.3, 0.7), (0.25, 1.0)])
def test_a_faded_photo_is_found(black: float, white: float) -> None:
    clean = crop("haze_workshop", 160)
    y = noisy(black + (white - black) * clean, 0.005)
    found = Method.from_config("unfade").restore(y)
    assert psnr(found.image, clean) > psnr(y, clean) + 6
    assert float(found.diagnostics["black"][0]) == pytest.approx(black, abs=0.08)


def test_a_photo_that_is_not_faded_stays_the_same() -> None:
    y = crop("haze_workshop", 160)
    phi = ToneCurve()
    phi.initialize(y, {}, lambda x, sigma: x)
    assert phi.untouched
    assert torch.equal(phi(y), y)
    assert torch.equal(phi.invert(y), y)


def test_the_ends_change_little_if_the_photo_changes_little() -> None:
    clean = crop("haze_workshop", 160)
    ends = torch.tensor([ends_of(black + (1 - black) * clean) for black in torch.arange(0, 0.3, 0.005).tolist()])
    assert float(ends.diff(dim=0).abs().max()) < 0.03


@pytest.mark.parametrize("black, white, gamma", [(-0.15, 1.1, 1.0), (0.1, 0.9, 1.6), (0.0, 1.0, 0.6)])
def test_a_given_curve_is_undone(black: float, white: float, gamma: float) -> None:
    clean = crop("haze_workshop", 160)
    y = noisy((black + (white - black) * clean**gamma).clamp(0, 1), 0.005)
    phi = ToneCurve(black, white, gamma)
    phi.initialize(y, {}, lambda x, sigma: x)
    assert not phi.untouched
    assert psnr(phi.invert(y).clamp(0, 1), clean) > psnr(y, clean) + 6
