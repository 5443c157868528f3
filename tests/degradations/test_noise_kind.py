"""Noise as cameras make it, on composed photos: the same in all channels, or stronger where it is bright."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.fitting import matched
from helpers.moments import names
from helpers.scenes import as_jpeg, bundled, crop, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Noise
from zeroair_pl.degradations.noise_kind import channel_correlation, kind_of_noise, variance_slope
from zeroair_pl.degradations.noise_models import STEEPEST, CameraNoise, even, even_level, uneven
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.fit import fit
from zeroair_pl.photos.jpeg import jpeg_file

PHOTO = "haze_workshop"


def scene() -> Tensor:
    return crop(PHOTO)


def rounded(y: Tensor) -> Tensor:
    return (y.clamp(0, 1) * 255).round() / 255


def with_noise(x: Tensor, kind: str, sigma: float = 20 / 255) -> Tensor:
    n = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    if kind == "luma":
        n = n[:, :1].expand_as(n)
    if kind == "light":
        return rounded(x + n * (0.0004 + 0.006 * x).sqrt())
    return rounded(x + sigma * n)


def restored(y: Tensor) -> Tensor:
    return fit(y, names(1), matched(Noise, prior=bundled(), steps=12)).restored


# ---- the tone in which noise is the same everywhere ------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 0.7, 1.6, STEEPEST])
def test_the_even_tone_has_an_inverse_and_keeps_black_and_white(slope: float) -> None:
    y = torch.linspace(0, 1, 101, dtype=torch.double)
    u = even(y, slope)
    torch.testing.assert_close(uneven(u, slope), y)
    torch.testing.assert_close(u[[0, -1]], y[[0, -1]])
    assert bool((u.diff() > 0).all())


def test_no_slope_is_no_tone() -> None:
    y = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(even(y, 0.0), y)
    assert torch.equal(uneven(y, torch.zeros(())), y)


@pytest.mark.parametrize("slope", [0.7, 1.6])
def test_noise_is_the_same_everywhere_in_the_even_tone(slope: float) -> None:
    model = CameraNoise()
    model.start(0.02)
    model.slope.fill_(slope)
    y = torch.full((1, 3, 64, 64), 0.5) * torch.tensor([0.3, 1.0, 1.7]).view(1, 3, 1, 1)
    n = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)) * model.variance(y, y).sqrt()
    spread = even(y + n, slope).std(dim=(0, 2, 3))
    torch.testing.assert_close(spread, torch.full((3,), even_level(0.02, slope)), rtol=0.05, atol=0)
    torch.testing.assert_close(model.white(), torch.tensor(even_level(0.02, slope)))


# ---- what is found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "expected"), [("luma", 1.0), ("color", 0.0)])
def test_the_correlation_between_channels_is_that_of_the_noise(kind: str, expected: float) -> None:
    assert channel_correlation(with_noise(torch.full((1, 3, 96, 96), 0.5), kind)) == pytest.approx(expected, abs=0.1)


def test_the_slope_is_that_of_the_variance() -> None:
    clean_ = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(2)) * 0.8 + 0.1
    sigma = 0.03 * (1 + 1.2 * (clean_ - 0.5)).sqrt()
    n = torch.randn(clean_.shape, generator=torch.Generator().manual_seed(3))
    assert variance_slope(n * sigma, clean_, clean_ + n * sigma) == pytest.approx(1.2, abs=0.25)
    assert variance_slope(0.03 * n, clean_, clean_ + 0.03 * n) == 0


@pytest.mark.parametrize("kind", ["none", "color", "luma", "light"])
def test_each_kind_of_noise_is_told_from_the_others(kind: str) -> None:
    x = scene()
    found = kind_of_noise(rounded(x) if kind == "none" else with_noise(x, kind), FirstLook(bundled()))
    assert (found.common > 0.5) == (kind == "luma")
    assert (found.slope > 0.5) == (kind == "light")
    if kind in ("color", "luma"):
        assert 255 * found.level == pytest.approx(20, rel=0.12)


def test_a_gray_photo_has_common_noise() -> None:
    gray = scene().mean(1, keepdim=True).expand(1, 3, -1, -1)
    found = kind_of_noise(with_noise(gray, "luma"), FirstLook(bundled()))
    assert found.common > 0.9
    assert 255 * found.level == pytest.approx(20, rel=0.12)


# ---- what comes out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gray", [True, False])
def test_noise_of_brightness_is_removed(gray: bool) -> None:
    """22 dB at the input; with the noise taken for independent 24."""
    x = scene().mean(1, keepdim=True).expand(1, 3, -1, -1) if gray else scene()
    y = with_noise(x, "luma")
    out = restored(y)
    assert psnr(out, x) > psnr(y, x) + 5
    if not gray:  # the colors, which have no noise, are those of the photo
        color, own = (v - v.mean(1, keepdim=True) for v in (out, y))
        assert float((color - own).square().mean().sqrt()) < 2 / 255


def test_noise_that_grows_with_the_light_is_removed_where_it_is() -> None:
    x = scene()
    y = with_noise(x, "light")
    out = restored(y)
    assert psnr(out, x) > psnr(y, x) + 4
    assert float(out.mean()) == pytest.approx(float(x.mean()), abs=0.01)  # in the photo's own tone


def test_a_stated_level_is_kept() -> None:
    y = torch.full((1, 3, 48, 48), 0.5)
    restored = Method.from_config("denoise", degradation={"init_args": {"level": 0.05}}).restore(y)
    assert float(restored.noise_level) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(("quality", "strongest"), [(55, 6.0), (85, 30.0)])
def test_what_a_poor_jpeg_has_left_of_texture_is_no_noise_of_a_camera(quality: int, strongest: float) -> None:
    """JPEG leaves coarse texture and noise, as a camera does; but no camera saves at a low quality."""
    soft = torch.nn.functional.avg_pool2d(scene(), 3, 1, 1, count_include_pad=False)
    data, y = as_jpeg(with_noise(soft, "white", 5 / 255), quality)
    file = jpeg_file(Image.open(io.BytesIO(data)), 1)
    levels = []
    for side in ({}, {"jpeg": file}):
        phi = Noise()
        phi.initialize(y, side, FirstLook(bundled()))
        levels.append(255 * float(phi.noise_level().detach()))
    assert levels[1] < strongest
    assert (levels[1] < 0.7 * levels[0]) == (quality < 60)
