"""A share of the correction: exact at both ends, monotone and continuous between, the photo's texture first."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from helpers.toys import toy_photo
from zeroair_pl.method import blending
from zeroair_pl.method.blending import mixed


@pytest.fixture
def scene() -> tuple[Tensor, Tensor, Tensor]:
    """A scene with an edge, its veil (of two depths, on the sides of the edge), and noise."""
    x = toy_photo(96, 128)[0]
    x[..., 64:] *= 0.5
    t = torch.full((1, 96, 128), 0.8)
    t[..., 64:] = 0.4
    veil = (1 - t) * (0.9 - x)
    noise = 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x, veil, noise


def test_the_ends_are_the_photo_and_the_restoration(scene: tuple[Tensor, ...]) -> None:
    x, veil, noise = scene
    y = (x + veil + noise).clamp(0, 1)
    assert torch.equal(mixed(y, x, 0), y)
    assert torch.equal(mixed(y, x, 1), x)


def test_light_follows_the_strength_and_grain_comes_back_first(scene: tuple[Tensor, ...]) -> None:
    x, veil, noise = scene
    for strength in (0.25, 0.5, 0.9):
        grain = mixed(x + noise, x, strength) - x
        share = float((grain * noise).sum() / noise.square().sum())
        assert share == pytest.approx(1 - strength**2, abs=0.03), "of a pure denoiser, 1 − s² of the grain is back"
        both = mixed(x + veil + noise, x, strength)
        left = both - x - (1 - strength) * veil
        assert float(left.square().mean().sqrt()) < 1.2 * float(grain.square().mean().sqrt())
        halo = (left - grain).abs()[..., 56:72]
        assert float(halo.mean()) < 0.01, "no halo where the veil jumps, by 0.25"


def test_the_way_is_monotone_and_has_no_jump(scene: tuple[Tensor, ...]) -> None:
    x, veil, noise = scene
    y = (x + veil + noise).clamp(0, 1)
    way = [mixed(y, x, s / 20) for s in range(21)]
    distances = [float((each - y).square().mean()) for each in way]
    assert distances == sorted(distances)
    steps = [float((b - a).abs().max()) for a, b in pairwise(way)]
    assert max(steps) < 0.12 * float((x - y).abs().max()), "one step of twenty is at most a tenth of all, and a bit"
    assert float((mixed(y, x, 1 - 1e-6) - x).abs().max()) < 1e-5
    assert float((mixed(y, x, 1e-6) - y).abs().max()) < 1e-5


def test_bands_of_rows_make_no_seams(scene: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    x, veil, noise = scene
    y = (x + veil + noise).clamp(0, 1)
    whole = mixed(y, x, 0.5)
    monkeypatch.setattr(blending, "BAND", 20)
    assert float((mixed(y, x, 0.5) - whole).abs().max()) < 1e-5


def test_a_larger_restoration_is_mixed_with_the_enlarged_photo() -> None:
    y, x = toy_photo(24, 32)[0], toy_photo(48, 64)[0]
    assert mixed(y, x, 0).shape == mixed(y, x, 0.5).shape == x.shape
