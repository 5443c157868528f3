"""Files of more than 8 bits keep their precision: what is smooth stays smooth, and what is clean is left alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch

import zeroair_pl
from helpers.toys import toy_photo
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Haze, Noise
from zeroair_pl.degradations.noise_level import EIGHT_BITS, SIXTEEN_BITS, rounding
from zeroair_pl.priors import UNetPrior

QUIET = {"strips": False, "tensorboard": False, "quiet": True}


def gradient(height: int = 64, width: int = 256) -> np.ndarray:
    """Colors that rise along each row, by a few counts of 16 bits from pixel to pixel; uint16."""
    across, down = np.linspace(0, 1, width)[None, :, None], np.linspace(0, 1, height)[:, None, None]
    low, rise = np.array([9000, 15000, 22000]), np.array([2600, 3400, 2100])
    return np.rint(low + rise * across + 4000 * down).astype(np.uint16)


def restored(path: Path, config: str = "denoise") -> np.ndarray:
    (row,) = zeroair_pl.restore(path, config, out=path.parent / "out", **QUIET).rows
    assert row.status == "restored", row.reason
    return np.asarray(cv2.imread(str(path.parent / "out" / row.output), cv2.IMREAD_UNCHANGED))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("gray", [False, True])
def test_a_smooth_gradient_stays_smooth(tmp_path: Path, suffix: str, gray: bool) -> None:
    before = gradient()[..., 0] if gray else gradient()
    cv2.imwrite(str(tmp_path / f"a{suffix}"), before)
    after = restored(tmp_path / f"a{suffix}")
    assert after.dtype == np.uint16
    assert np.abs(after.astype(int) - before).max() <= 2, "in counts of 65535"
    assert (np.diff(after.astype(int), axis=1) < 0).sum() == 0, "a step back"


def test_a_clean_photo_of_12_bits_is_left_nearly_as_it_is(tmp_path: Path) -> None:
    counts = (toy_photo(96, 96)[0].permute(1, 2, 0).numpy() * 3000 + 500).round().astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="rgb")
    (row,) = zeroair_pl.restore(tmp_path / "a.tif", "denoise", out=tmp_path / "out", **QUIET).rows
    error = tifffile.imread(tmp_path / "out/a.tif").astype(float) - counts
    assert np.sqrt(np.mean(error**2)) < 2, "in counts of 4095"
    assert row.noise_level is not None
    assert row.noise_level < EIGHT_BITS


def test_its_noise_is_still_removed(tmp_path: Path) -> None:
    clean = gradient().astype(float)
    noisy = clean + np.random.default_rng(0).normal(0, 800, clean.shape)
    cv2.imwrite(str(tmp_path / "a.png"), np.rint(noisy).astype(np.uint16))
    assert np.std(restored(tmp_path / "a.png") - clean) < 0.25 * 800


def test_the_rounding_of_a_file() -> None:
    y = toy_photo(32, 32)
    assert rounding((y * 255).round() / 255) == EIGHT_BITS
    assert rounding((y * 65535).round() / 65535) == SIXTEEN_BITS
    assert rounding((y * 255).round() * 257 / 65535) == EIGHT_BITS, "8 bits in a file of 16"
    for family in (Noise, Haze):
        phi = family()
        phi.initialize(torch.full((1, 3, 32, 32), 0.4), {}, blurred)  # 102/255
        assert float(phi.noise_level().detach()) == pytest.approx(EIGHT_BITS)


def test_a_prior_that_is_told_of_less_noise_than_its_schedule_has_takes_less_away() -> None:
    """By Tweedie's formula the share is that of the variances; there is no step where the schedule begins."""
    prior, x = UNetPrior(precision="float32"), toy_photo(48, 48) * 0.8 + 0.1
    lowest = float(prior.sigma(torch.zeros(1, dtype=torch.float64)))
    full = prior.denoise(x, torch.tensor([lowest])) - x
    torch.testing.assert_close(prior.denoise(x, torch.tensor([1.0001 * lowest])) - x, full, rtol=0.01, atol=1e-4)
    for share in (0.5, 0.1):
        found = prior.denoise(x, torch.tensor([share * lowest])) - x
        torch.testing.assert_close(found, share**2 * full, rtol=0.01, atol=1e-6)
    two = prior.denoise(torch.cat([x, x]), torch.tensor([0.1 * lowest, lowest]))
    torch.testing.assert_close(two[1:] - x, full, rtol=1e-3, atol=1e-5)
