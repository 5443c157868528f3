"""Each loss against its formula, worked out by hand or in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from helpers.moments import Affine, ToyBlur, moment, photos
from zeroair_pl.degradations import Noise
from zeroair_pl.guidance import Adversarial, Fidelity, Likelihood, Perceptual, ResidualAdversarial, TotalVariation
from zeroair_pl.guidance.base import GuidanceState


def gaussian(seed: int, sigma: float = 1.0, size: int = 128) -> Tensor:
    return sigma * torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_fidelity_is_the_mean_square_to_its_target() -> None:
    y, x0 = 0.5 * photos(2), photos(2).flip(-1)
    y_hat, other = 0.6 * x0 + 0.1, photos(2).flip(-2)
    torch.testing.assert_close(Fidelity("y")(moment(y, x0)), (y_hat - y).square().mean((1, 2, 3)))
    torch.testing.assert_close(Fidelity("x0")(moment(y, x0)), (y_hat - x0).square().mean((1, 2, 3)))
    both = ((y_hat - y).square() + (0.6 * other + 0.1 - y).square()).mean((1, 2, 3)) / 2
    torch.testing.assert_close(Fidelity("y")(moment(y, x0, auxiliary=other)), both)
    both = ((y_hat - x0).square() + (0.6 * other + 0.1 - other).square()).mean((1, 2, 3)) / 2
    torch.testing.assert_close(Fidelity("x0")(moment(y, x0, auxiliary=other)), both)


def test_total_variation_of_a_ramp_and_a_checkerboard() -> None:
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 8, 11)
    board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float().expand(1, 3, 8, 8)
    assert float(TotalVariation()(moment(ramp, ramp))) == pytest.approx(0.1**2)
    assert float(TotalVariation()(moment(board, board))) == pytest.approx(2.0)


def test_perceptual_is_the_mean_over_layers_of_mean_square_feature_distances() -> None:
    y, x0 = 0.5 * photos(2), photos(2).flip(-1)
    state = moment(y, x0)
    assert state.prior is not None
    pairs = list(zip(state.prior.features(0.6 * x0 + 0.1), state.prior.features(y), strict=True))
    each = torch.stack([(a - b).square().flatten(1).mean(1) for a, b in pairs])
    torch.testing.assert_close(Perceptual(layers=(0, 1))(state), each.mean(0))
    torch.testing.assert_close(Perceptual(layers=(1,))(state), each[1])


def test_adversarial_pairs_are_the_papers() -> None:
    """φ looks like y, from both maps; stage II compares x0 − φ(x0) of both maps with x0 − y of the guided one."""
    y, x0, other = 0.5 * photos(2), photos(2).flip(-1), photos(2).flip(-2)
    state = moment(y, x0, auxiliary=other)
    real, fake = Adversarial().pairs(state)
    torch.testing.assert_close(real, torch.cat([y, y]))
    torch.testing.assert_close(fake, torch.cat([0.6 * x0 + 0.1, 0.6 * other + 0.1]))
    real, fake = ResidualAdversarial().pairs(state)
    torch.testing.assert_close(real, torch.cat([0.4 * x0 - 0.1, 0.4 * other - 0.1]))
    torch.testing.assert_close(fake, x0 - y)


# ---- likelihood ------------------------------------------------------------------------------------------------------


def likelihood(state: GuidanceState, sigma: float) -> tuple[float, float]:
    """The loss and its slope in log σ, with the model's noise level at ``sigma``."""
    (phi,) = state.degradation
    phi.noise.log_sigma.data.fill_(math.log(sigma))
    phi.zero_grad()
    value = Likelihood()(replace(state, _applied=(state.y_hat.detach(), None))).sum()
    value.backward()
    return float(value.detach()), float(phi.noise.log_sigma.grad)


def test_with_an_exact_clean_estimate_it_is_the_gaussian_density() -> None:
    x = photos(1, 128, 128)
    state = moment(0.6 * x + 0.1 + gaussian(0, 0.05), x, Affine, error=1e-6, noise=0.5)
    for sigma in (0.02, 0.05, 0.2):
        density = -torch.distributions.Normal(0.6 * x + 0.1, sigma).log_prob(state.y).mean()
        got, _ = likelihood(state, sigma)
        assert got == pytest.approx(float(density) - 0.5 * math.log(2 * math.pi), abs=1e-3)


@pytest.mark.parametrize("s", [0.06, 0.15, 1.0])
def test_the_true_noise_level_is_its_minimum_for_a_posterior_mean(s: float) -> None:
    """In a Gaussian world x ~ N(½, τ²), where the prior's estimate from x_t = y + further noise is known exactly.

    Without the prior's error, or without its covariance with the photo's noise, the minimum would be elsewhere.
    """
    sigma, tau = 0.05, 0.2
    x = 0.5 + gaussian(1, tau)
    y = x + gaussian(2, sigma)
    x_t = y + gaussian(3, (s**2 - sigma**2) ** 0.5)
    x0 = 0.5 + tau**2 / (tau**2 + s**2) * (x_t - 0.5)
    error = tau * s / (tau**2 + s**2) ** 0.5
    state = moment(y, x0, Noise, error=error, noise=s)
    _, below = likelihood(state, 0.87 * sigma)
    _, above = likelihood(state, 1.15 * sigma)
    assert below < 0 < above


def test_a_family_that_is_not_pointwise_is_taken_to_pass_the_error_on_as_it_is() -> None:
    x = photos(1, 32, 32)
    state = moment(x, x, ToyBlur, error=0.1, noise=10.0)
    variance = 0.05**2 + 0.1**2
    residual = (x - state.degradation(x)).detach().square().mean()
    got, _ = likelihood(state, 0.05)
    assert got == pytest.approx(float(residual) / (2 * variance) + 0.5 * math.log(variance), rel=1e-3)
