"""How guidance moves the clean estimate: against finite differences, the paper's formula and closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.moments import Affine, ToyBlur, moment, photos
from helpers.registry import concrete
from zeroair_pl.degradations import LowLight, Noise
from zeroair_pl.degradations.base import Observation
from zeroair_pl.degradations.proximal import conjugate_proximal, pointwise_proximal
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance import Fidelity, Likelihood, Lpips, Perceptual, TotalVariation
from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState
from zeroair_pl.guidance.matched import MatchedUpdate, combined, observed
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GradientUpdate, Guided, ProximalUpdate

LOSSES = [cls for cls in concrete(GuidanceLoss, "guidance") if cls is not Lpips]  # its network is float32 only


def scene(size: int = 16, count: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """A degraded photo and a clean estimate of it, which do not fit together yet."""
    clean = photos(count, size, size).to(dtype)
    return 0.1 + 0.6 * clean, (0.8 * clean + 0.1 * clean.flip(-1)).clamp(0, 1)


def only(loss: Any, weight: float = 1.0) -> list[tuple[Term, float]]:
    return [(Term(loss), weight)]


def move(guided: Guided) -> Tensor:
    assert guided.shift is not None
    return guided.shift


# ---- gradient form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("family", [Affine, ToyBlur])
@pytest.mark.parametrize("auxiliary", [False, True])
def test_the_gradient_agrees_with_finite_differences(kind: Any, family: Any, auxiliary: bool) -> None:
    loss = kind()
    y, x0 = scene(dtype=torch.float64)
    state = moment(y, x0, family, x0.flip(-1) if auxiliary else None, losses=(loss,))
    for each in state.discriminators.values():
        each.double()
    scale = 1000.0
    guided = GradientUpdate(scale, on="mean")(state, only(loss, 0.7), steps=1000)
    per_element = scale * y[0].numel() / (3 * 256 * 256) * 0.7

    def energy(step: float, direction: Tensor, first: bool) -> float:
        x, auxiliary_x = state.x0, state.x0_auxiliary
        if first:
            x = x + step / 2 * direction  # the update's unit is the [-1, 1] range
        else:
            assert auxiliary_x is not None
            auxiliary_x = auxiliary_x + step / 2 * direction
        return float(loss(state.at(x, auxiliary_x)).detach())

    for first, got in ((True, guided.shift), (False, guided.shift_auxiliary)):
        if got is None:
            assert not first
            assert not auxiliary
            continue
        for seed in (0, 1):
            direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            step = 1e-6
            slope = (energy(step, direction, first) - energy(-step, direction, first)) / (2 * step)
            assert float((got * direction).sum()) == pytest.approx(-per_element * slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("scale, share", [(25000, 0.127), (50000, 0.254), (6000, 0.0305)])
@pytest.mark.parametrize("size", [256, 64])
def test_the_papers_scales_are_the_papers_steps_at_every_size(scale: float, share: float, size: int) -> None:
    """The step is (s/N)·Jᵀ(y − φ(x0)) with N = 256·256·3, here J = 0.6."""
    y, x0 = scene(size)
    state = moment(y, x0)
    residual = y - (0.6 * x0 + 0.1)
    got = move(GradientUpdate(scale, on="mean")(state, only(Fidelity()), steps=1000))
    torch.testing.assert_close(got, scale / 196608 * 0.6 * residual, atol=1e-6, rtol=1e-4)
    assert float((got * residual).sum() / (0.6 * residual.square().sum())) == pytest.approx(share, rel=0.005)


def test_fewer_steps_take_larger_ones_on_the_mean_and_the_estimate_moves_by_the_same() -> None:
    y, x0 = scene()
    state = moment(y, x0)
    thousand, fifty = (move(GradientUpdate(100, on="mean")(state, only(Fidelity()), steps=n)) for n in (1000, 50))
    torch.testing.assert_close(fifty, 20 * thousand)
    for steps in (1000, 50):
        guided = GradientUpdate(100)(state, only(Fidelity()), steps)
        assert guided.shift is None
        torch.testing.assert_close(guided.x0 - x0, thousand / 2, atol=1e-7, rtol=1e-3)


def test_weights_add_up() -> None:
    y, x0 = scene()
    state, update = moment(y, x0), GradientUpdate(1000, on="mean")
    fidelity, smoothness = only(Fidelity(), 0.3), only(TotalVariation(), 2.0)
    both = update(state, fidelity + smoothness, 1000)
    torch.testing.assert_close(move(both), move(update(state, fidelity, 1000)) + move(update(state, smoothness, 1000)))


@pytest.mark.parametrize("loss", [TotalVariation(), Perceptual()], ids=lambda loss: loss.name)
def test_a_loss_that_ignores_the_auxiliary_map_leaves_it_alone(loss: Any) -> None:
    y, x0 = scene()
    guided = GradientUpdate(1000)(moment(y, x0, auxiliary=x0.flip(-1)), only(loss), 1000)
    assert not torch.equal(guided.x0, x0)
    assert guided.x0_auxiliary is not None
    assert torch.equal(guided.x0_auxiliary, x0.flip(-1))


def test_no_terms_no_move() -> None:
    y, x0 = scene()
    assert torch.equal(GradientUpdate()(moment(y, x0), [], 1000).x0, x0)


@pytest.mark.parametrize("update", [GradientUpdate(), GradientUpdate(on="mean"), ProximalUpdate(), MatchedUpdate()])
@pytest.mark.parametrize("auxiliary", [False, True])
def test_an_image_does_not_depend_on_its_batch(update: Any, auxiliary: bool) -> None:
    y, x0 = scene(24, count=2)
    terms = [*only(Fidelity()), *only(TotalVariation(), 0.1)]

    def guided(chosen: slice, family: Any) -> Guided:
        x = x0[chosen]
        return update(moment(y[chosen], x, family, x.flip(-1) if auxiliary else None), terms, 50)

    for family in (Affine,) if isinstance(update, MatchedUpdate) else (Affine, ToyBlur):
        both, alone = guided(slice(0, 2), family), guided(slice(0, 1), family)
        for together, single in zip(both, alone, strict=True):
            if isinstance(together, Tensor) and isinstance(single, Tensor):
                torch.testing.assert_close(together[:1], single, rtol=1e-5, atol=1e-6)


# ---- proximal form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family, gain, offset", [(Noise, 1.0, 0.0), (Affine, 0.6, 0.1)])
def test_the_proximal_step_is_the_closed_form_of_an_affine_model(family: Any, gain: float, offset: float) -> None:
    y, x0 = scene(24, count=2)
    error, sigma = 0.07, 0.05
    state = moment(y, x0, family, auxiliary=x0.flip(-1), error=error, sigma=sigma)
    guided = ProximalUpdate()(state, [], 50)
    for got, start in ((guided.x0, x0), (guided.x0_auxiliary, x0.flip(-1))):
        precision = 1 / error**2 + gain**2 / sigma**2
        wanted = (start / error**2 + gain * (y - offset) / sigma**2) / precision
        torch.testing.assert_close(got, wanted.clamp(0, 1), atol=1e-5, rtol=0)


def test_a_clean_photo_is_believed_and_a_noisy_one_is_not() -> None:
    y, x0 = scene(24)
    clean = ProximalUpdate()(moment(y, x0, Affine, sigma=1e-3), [], 50).x0  # the noise of 8 bits
    torch.testing.assert_close(clean, (y - 0.1) / 0.6, atol=1e-3, rtol=0)
    noisy = ProximalUpdate()(moment(y, x0, Affine, error=1e-3, sigma=0.5), [], 50).x0
    torch.testing.assert_close(noisy, x0, atol=1e-4, rtol=0)


def test_trust_multiplies_the_variance_of_the_prior() -> None:
    y, x0 = scene(24)
    trusting = ProximalUpdate(trust=4.0)(moment(y, x0, error=0.05, sigma=0.05), [], 50).x0
    torch.testing.assert_close(trusting, ProximalUpdate()(moment(y, x0, error=0.1, sigma=0.05), [], 50).x0)


@pytest.mark.parametrize("gradients, tolerance", [(40, 1e-4), (6, 0.02)])
def test_conjugate_gradients_solve_the_dense_problem(gradients: int, tolerance: float) -> None:
    size, error, sigma = 8, 0.1, 0.03
    y, x0 = scene(size)
    state = moment(y, x0, ToyBlur, error=error, sigma=sigma)
    n = y.numel()
    jacobian = torch.func.jacrev(lambda v: state.degradation(v.view_as(y)).flatten())(x0.flatten()).detach()
    left = torch.eye(n) / error**2 + jacobian.T @ jacobian / sigma**2
    residual = (y - state.degradation(x0)).flatten().detach()
    dense = x0.flatten() + torch.linalg.solve(left, jacobian.T @ residual / sigma**2)
    with torch.no_grad():
        e2, variance = (torch.full((1, 1, 1, 1), v**2) for v in (error, sigma))
        got = conjugate_proximal(state.degradation, x0, y, e2, variance, inner=gradients).flatten()
    assert float((dense - x0.flatten()).abs().max()) > 0.05
    torch.testing.assert_close(got, dense, atol=tolerance, rtol=0)


def test_conjugate_gradients_and_the_diagonal_form_agree_where_both_apply() -> None:
    class Unsaid(Affine):
        pointwise = False

    y, x0 = scene(16, count=2)
    got, wanted = (ProximalUpdate()(moment(y, x0, family, sigma=0.05), [], 50).x0 for family in (Unsaid, Affine))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_gauss_newton_finds_the_minimum_of_a_curved_model() -> None:
    clean = photos(1, 24, 24).clamp(0.2, 0.8)
    state = moment(0.25 * clean, (clean + 0.05).clamp(0, 1), LowLight, error=0.1, sigma=0.01)
    with torch.no_grad():
        e2, variance = (torch.full((1, 1, 1, 1), v**2) for v in (0.1, 0.01))
        x = pointwise_proximal(state.degradation, state.x0, state.y, e2, variance, steps=12).clamp(0, 1)
    x = x.detach().requires_grad_()
    objective = (x - state.x0).square().sum() / (2 * 0.1**2)
    objective = objective + (state.y - state.degradation(x)).square().sum() / (2 * 0.01**2)
    (gradient,) = torch.autograd.grad(objective, x)
    inside = (x > 0.001) & (x < 0.999)
    assert float(inside.float().mean()) > 0.5
    assert float(gradient[inside].abs().max()) < 0.05  # of terms that are each about 100 at the start


def test_other_losses_move_by_the_variance_that_is_left() -> None:
    y, x0 = scene(24)
    error, sigma, weight = 0.1, 0.1, 2.0
    state = moment(y, x0, Noise, error=error, sigma=sigma)
    variance = 1 / (1 / error**2 + 1 / sigma**2)
    plain = ProximalUpdate()(state, [], 50).x0
    x = plain.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(TotalVariation()(state.at(x)).sum() * x.numel() * weight, x)
    got = ProximalUpdate()(state, only(TotalVariation(), weight), 50).x0
    torch.testing.assert_close(got, (plain - variance * gradient).clamp(0, 1), atol=1e-5, rtol=0)
    assert float((got - plain).abs().max()) > 1e-3


def test_the_likelihood_is_the_proximal_step_itself_and_not_counted_twice() -> None:
    y, x0 = scene(24)
    state = moment(y, x0)
    assert torch.equal(ProximalUpdate()(state, only(Likelihood()), 50).x0, ProximalUpdate()(state, [], 50).x0)


# ---- matched form- ---------------------------------------------------------------------------------------------------


def matched(noise: float, error: float, sigma: float) -> tuple[Guided, GuidanceState]:
    y, x0 = scene(24)
    state = moment(y, x0, Affine, error=error, noise=noise, sigma=sigma)
    return MatchedUpdate()(state, [], 50), state


def test_the_matched_step_far_above_the_photos_noise_is_the_proximal_step() -> None:
    guided, state = matched(noise=50.0, error=0.1, sigma=0.03)
    torch.testing.assert_close(guided.x0, ProximalUpdate()(state, [], 50).x0, atol=1e-3, rtol=0)


def test_the_matched_step_at_the_photos_noise_is_the_clean_estimate() -> None:
    guided, state = matched(noise=0.03 / 0.6, error=0.02, sigma=0.03)
    torch.testing.assert_close(guided.x0, state.x0, atol=1e-3, rtol=0)


def test_the_photo_is_observed_through_the_inverse_with_its_noise_amplified() -> None:
    guided, state = matched(noise=1.0, error=0.1, sigma=0.03)
    assert guided.observation is not None
    torch.testing.assert_close(guided.observation.image, (state.y - 0.1) / 0.6, atol=1e-5, rtol=0)
    torch.testing.assert_close(guided.observation.sigma, torch.full_like(state.y, 0.05), atol=1e-5, rtol=0)


def test_a_value_of_which_the_photo_says_nothing_keeps_the_clean_estimate() -> None:
    x0, image = torch.full((1, 3, 4, 4), 0.3), torch.full((1, 3, 4, 4), 0.9)
    sigma = torch.where(torch.arange(4) < 2, torch.inf, 0.01).expand_as(image)
    x, variance = combined(Observation(image, sigma), x0, 0.05**2, 0.2**2)
    assert bool(torch.isfinite(x).all())
    assert bool(torch.isfinite(variance).all())
    assert torch.equal(x[..., :2], x0[..., :2])
    assert float(x[..., 2:].min()) > 0.85


def test_a_model_without_inverse_cannot_be_observed() -> None:
    y, _ = scene(16)
    with pytest.raises(ConfigError, match="needs a degradation that can be inverted; use AnnealedSampler"):
        observed(moment(y, y, ToyBlur).degradation, y)
