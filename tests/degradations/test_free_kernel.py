"""Kernels of any form: where they are looked for, and when they give way to simple ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.scenes import bundled, crop, noisy, psnr
from zeroair_pl.degradations import Blur
from zeroair_pl.degradations.blur import kernel_of
from zeroair_pl.degradations.free_kernel import textured_part
from zeroair_pl.method.first_look import FirstLook


def convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """Of the inner part of x alone: what is beyond the border of the result is not made up."""
    weight = kernel.flip(0, 1)[None, None].repeat(3, 1, 1, 1)
    return F.conv2d(x, weight, groups=3)


def test_the_noise_under_a_known_kernel_is_found() -> None:
    """A line of 13 px is no Gaussian and no disc: with the spectra of these alone the noise would come out too low."""
    x = crop("haze_workshop", 160)
    kernel = kernel_of("line", 13, 0.6)
    y = noisy(convolved(x, kernel), 0.012)
    phi = Blur()
    phi.initialize(y, {"kernel": kernel}, lambda image, sigma: image)
    assert float(phi.noise_level()) == pytest.approx(0.012, rel=0.25)


def test_a_kernel_of_any_form_is_found() -> None:
    """At toy size: the kernel explains the photo."""
    x = crop("haze_workshop", 150)
    kernel = torch.zeros(9, 9)
    kernel[2, 1:6] = kernel[2:8, 5] = 1
    kernel = kernel / kernel.sum()
    clean = x[..., 4:-4, 4:-4]
    y = noisy(convolved(x, kernel), 0.006)
    phi = Blur("free")
    phi.initialize(y, {}, FirstLook(bundled()))
    found = phi.get_buffer("h")
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)
    rows, columns = ((found > 0.2 * found.max()).any(axis).nonzero().flatten() for axis in (1, 0))
    for where in (rows, columns):
        assert abs(int(where[0] + where[-1]) - 2 * (len(found) // 2)) <= 1, "so the result is not shifted"
    again = convolved(F.pad(clean, [len(found) // 2] * 4, mode="replicate"), found)
    assert psnr(again, y) > psnr(clean, y) + 3, "the photo under the kernel is what was taken, better than no kernel"


def test_a_kernel_that_the_spectrum_does_not_support_gives_way_to_a_simple_one(monkeypatch: pytest.MonkeyPatch) -> None:
    y = noisy(convolved(crop("haze_workshop", 160), kernel_of("disc", 3)), 0.006)
    wrong = kernel_of("line", 15, 0.6)
    monkeypatch.setattr("zeroair_pl.degradations.blur.estimate_kernel", lambda *_: wrong)
    phi = Blur("free")
    phi.initialize(y, {}, lambda x, sigma: x)
    assert phi.found["size"] == pytest.approx(3, rel=0.1)
    right = kernel_of("disc", phi.found["size"])
    torch.testing.assert_close(phi.get_buffer("h"), right)


def test_a_kernel_that_the_spectrum_supports_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    line = kernel_of("line", 13, 0.6)
    y = noisy(convolved(crop("haze_workshop", 160), line), 0.006)
    monkeypatch.setattr("zeroair_pl.degradations.blur.estimate_kernel", lambda *_: line)
    phi = Blur("free")
    phi.initialize(y, {}, lambda x, sigma: x)
    assert phi.get_buffer("h").equal(line)
    assert not phi.found


def test_the_kernel_of_a_large_photo_is_looked_for_where_it_has_texture() -> None:
    y = torch.full((1, 3, 90, 130), 0.5)
    y[..., 50:, 80:] = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    assert textured_part(y, 40).equal(y[..., 50:, 90:])
    assert textured_part(y, 100).shape == (1, 3, 90, 100)
    assert textured_part(y, 200).equal(y)
