"""The noise schedule: exact levels, textbook formulas, and every diffusers scheduler that can be guided."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from helpers.moments import SixChannelPrior
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl.errors import ConfigError
from zeroair_pl.sampling.levels import Visits, check_levels
from zeroair_pl.sampling.schedule import Schedule
from zeroair_pl.tensors.per_image import image_generator, randn

ODE = [
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "UniPCMultistepScheduler",
]
STOCHASTIC = ["DDPMScheduler", "DDPMParallelScheduler", "EulerAncestralDiscreteScheduler"]
OTHERS = ["KDPM2AncestralDiscreteScheduler", "LCMScheduler", "PNDMScheduler", "SASolverScheduler", "TCDScheduler"]
REFUSED = [
    "CogVideoXDPMScheduler",
    "DDIMInverseScheduler",
    "EDMEulerScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "IPNDMScheduler",
    "RePaintScheduler",
]
STEPS = 8

pytestmark = pytest.mark.filterwarnings("ignore:__array")  # numpy's, about diffusers


def build(
    name: str,
    steps: int = STEPS,
    prior: ToyPrior | None = None,
    config: dict[str, Any] | None = None,
    **settings: Any,
) -> Schedule:
    return Schedule(getattr(diffusers, name)(**(config or {})), prior or ToyPrior(), steps, **settings)


def between(start: float, end: float) -> dict[str, Any]:
    """σ at these fractions of the schedule."""
    high, low = ToyPrior().sigma(torch.tensor([start * 999, end * 999], dtype=torch.float64)).tolist()
    return {"sigma_max": high, "sigma_min": low}


def generators(count: int = 1) -> list[torch.Generator]:
    return [image_generator(0, f"photo{i}", "test") for i in range(count)]


def clean(size: int = 16) -> Tensor:
    return toy_photo(size, size) * 2 - 1


@pytest.mark.parametrize("name", ODE + STOCHASTIC + OTHERS)
def test_visits_exactly_the_levels_asked_for_and_ends_at_the_clean_estimate(name: str) -> None:
    schedule, x0 = build(name, **between(0.9, 0.1)), clean()
    x = schedule.noisy(x0, torch.randn(x0.shape, generator=torch.Generator().manual_seed(1)), schedule.first)
    visited = []
    for k in schedule.visits:
        visited.append(schedule.prior_t(k))
        schedule.input(x, k)
        x = schedule.step(x0, k, x, None, generators())
    wanted = torch.linspace(0.9 * 999, 0.1 * 999, STEPS).tolist()
    if len(visited) == STEPS:
        assert visited == pytest.approx(wanted, abs=1e-3)
    else:  # second-order solvers look twice at a level, or at points of their own in between
        assert all(min(abs(t - level) for t in visited) < 1e-3 for level in wanted)
        assert all(after <= before + 1e-3 for before, after in pairwise(visited))
    torch.testing.assert_close(x, x0, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ODE + STOCHASTIC + OTHERS)
def test_the_prior_is_shown_its_own_signal_and_noise(name: str) -> None:
    prior, x0 = ToyPrior(), clean()
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    for k in (7.0, 4.0, 1.0):
        schedule = build(name, prior=prior)
        alpha_bar = float(prior.alpha_bar(torch.tensor(schedule.prior_t(k))))
        seen = schedule.input(schedule.noisy(x0, noise, k), k)
        torch.testing.assert_close(seen, alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * noise, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ODE)
def test_a_deterministic_solver_is_exact_where_the_clean_estimate_is_constant(name: str) -> None:
    """dx/dt then has the solution x_t = sqrt(ᾱ)·x0 + sqrt(1−ᾱ)·n with the n of the start."""
    prior, x0 = ToyPrior(), clean()
    schedule = build(name, prior=prior, steps=12)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    x, wanted = schedule.noisy(x0, noise, schedule.first), list(range(11, -1, -1))
    for k in schedule.visits:
        seen = schedule.input(x, k)
        if wanted and k == wanted[0]:  # the first look at a level; the second is a predictor's
            wanted.pop(0)
            alpha_bar = schedule.alpha_bar(k)
            torch.testing.assert_close(seen, alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * noise, atol=0.01, rtol=0)
        x = schedule.step(x0, k, x, None, generators())


@pytest.mark.parametrize("name", STOCHASTIC)
def test_an_ancestral_solver_keeps_the_noise_at_the_level(name: str) -> None:
    x0 = torch.zeros(1, 3, 64, 64)
    schedule = build(name)
    x = schedule.noisy(None, torch.randn(x0.shape, generator=torch.Generator().manual_seed(1)), schedule.first)
    draw = generators()
    for k in schedule.visits:
        seen = schedule.input(x, k)
        assert float(seen.std()) == pytest.approx((1 - schedule.alpha_bar(k)) ** 0.5, rel=0.04)
        x = schedule.step(x0, k, x, None, draw)


@pytest.mark.parametrize("name", REFUSED)
def test_a_scheduler_that_cannot_be_guided_is_refused_by_name_with_advice(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} .*use for example DDIMScheduler"):
        build(name)


def test_karras_sigmas_are_refused_because_they_are_not_the_levels_asked_for() -> None:
    with pytest.raises(ConfigError, match="cannot be guided on given noise levels"):
        build("DPMSolverMultistepScheduler", config={"use_karras_sigmas": True})


def test_ddim_at_all_steps_is_the_textbook_formula() -> None:
    prior = ToyPrior()
    schedule = build("DDIMScheduler", 1000, prior)
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    book, table = x.double(), prior.alphas_cumprod
    for k in schedule.visits:
        t = int(k)
        assert schedule.prior_t(k) == t
        x = schedule.step(prior.predict(schedule.input(x, k), torch.tensor([t])).x0, k, x, None, generators())
        x0 = prior.predict(book, torch.tensor([t])).x0
        noise = (book - table[t].sqrt() * x0) / (1 - table[t]).sqrt()
        before = table[t - 1] if t else torch.ones(())
        book = before.sqrt() * x0 + (1 - before).sqrt() * noise
    assert float(x.std()) > 0.05
    torch.testing.assert_close(x.double(), book, atol=1e-3, rtol=0)


@pytest.mark.parametrize("variance_type, exponent", [("fixed_small", 0), ("fixed_large", 1), ("learned_range", 0.5)])
def test_ancestral_ddpm_at_all_steps_is_the_closed_form_posterior(variance_type: str, exponent: float) -> None:
    """Variance between β̃ and β, as an exponent in log space; 0 in the network's range channels means half-way."""
    prior = SixChannelPrior()
    schedule = build("DDPMScheduler", 1000, prior, {"variance_type": variance_type})
    table, x0 = prior.alphas_cumprod, clean()
    x = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    for t in (999, 500, 20, 1):
        before, alpha = table[t - 1], table[t] / table[t - 1]
        mean = before.sqrt() * (1 - alpha) / (1 - table[t]) * x0 + alpha.sqrt() * (1 - before) / (1 - table[t]) * x
        small = (1 - before) / (1 - table[t]) * (1 - alpha)
        variance = small ** (1 - exponent) * (1 - alpha) ** exponent
        (z,) = randn(tuple(x0.shape[1:]), generators(), x0.device).unsqueeze(0)
        got = schedule.step(x0, float(t), x, prior.predict(x, torch.tensor([t])).variance, generators())
        torch.testing.assert_close(got.double(), mean + variance.sqrt() * z.double(), atol=2e-4, rtol=0)


def test_learned_range_needs_a_prior_that_predicts_variances() -> None:
    with pytest.raises(ConfigError, match=r"variance_type 'learned_range' .* 'toy' does not; use fixed_small"):
        build("DDPMScheduler", config={"variance_type": "learned_range"})


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_eta_is_the_share_of_fresh_noise(eta: float) -> None:
    schedule, x0 = build("DDIMScheduler", eta=eta), clean()
    x = schedule.noisy(None, torch.randn(x0.shape), schedule.first)
    one, other = (schedule.step(x0, schedule.first, x, None, [torch.Generator().manual_seed(s)]) for s in (0, 1))
    assert torch.equal(one, other) == (eta == 0)


@pytest.mark.parametrize("name", ["DDPMScheduler", "EulerAncestralDiscreteScheduler", "LCMScheduler"])
def test_fresh_noise_of_an_image_does_not_depend_on_its_batch(name: str) -> None:
    x0 = torch.cat([clean(), clean().flip(-1)])
    x = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))

    def second(schedule: Schedule) -> Tensor:
        schedule.input(x, schedule.first)
        return schedule.step(x0, schedule.first, x, None, generators(2))[1:]

    alone = build(name)
    alone.input(x[1:], alone.first)
    got = alone.step(x0[1:], alone.first, x[1:], None, generators(2)[1:])
    assert torch.equal(got, second(build(name)))


@pytest.mark.parametrize("spacing, measure", [("uniform", "t"), ("log_snr", "log noise")])
def test_spacing_is_even_in_what_it_says(spacing: Any, measure: str) -> None:
    prior = ToyPrior()
    schedule = build("DDIMScheduler", 9, prior, **between(0.95, 0.02), spacing=spacing)
    t = torch.tensor([schedule.prior_t(k) for k in schedule.visits], dtype=torch.float64)
    alpha_bar = prior.alpha_bar(t)
    gaps = (t if measure == "t" else ((1 - alpha_bar) / alpha_bar).log()).diff()
    assert (t[0], t[-1]) == pytest.approx((0.95 * 999, 0.02 * 999))
    torch.testing.assert_close(gaps, gaps.mean().expand_as(gaps), rtol=1e-3, atol=0)


def test_one_step_looks_at_the_start_alone() -> None:
    schedule = build("DDIMScheduler", 1, sigma_max=between(0.6, 0)["sigma_max"])
    assert [schedule.prior_t(k) for k in schedule.visits] == pytest.approx([0.6 * 999])


@pytest.mark.parametrize(
    "steps, high, low, message",
    [
        (0, 0.26, 0.01, "sampling.steps: expected at least 1, got 0"),
        (8, 0.26, -0.1, "sampling.sigma_min: expected a standard deviation of at least 0, got -0.1"),
        (8, 0.3, 0.4, "sigma_max=0.3 and sigma_min=0.4"),
        (8, 0.3, 0.3, "8 steps need sigma_max > sigma_min"),
    ],
)
def test_impossible_levels_are_refused_with_the_values(steps: int, high: float, low: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_levels(steps, high, low)


def test_levels_that_a_schedule_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'toy' has no 8 levels between sigma_max=0\.001 and sigma_min=0\.0005"):
        build("DDIMScheduler", sigma_max=0.001, sigma_min=0.0005)


def test_two_steps_from_pure_noise_keep_the_first_level() -> None:
    prior = ToyPrior()
    schedule = build("DDIMScheduler", 2, prior)
    assert float(schedule.scheduler.alphas_cumprod[1]) == pytest.approx(float(prior.alphas_cumprod[-1]), rel=0.01)


def test_a_visit_continues_where_it_stood() -> None:
    visit = Visits([3.0, 2.0, 1.0, 0.0])
    steps = iter(visit)
    assert [next(steps), next(steps)] == [3.0, 2.0]
    again = Visits([3.0, 2.0, 1.0, 0.0])
    again.load_state_dict(visit.state_dict())
    assert list(again) == [1.0, 0.0]
    assert len(again) == 4


@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "LMSDiscreteScheduler"])
def test_a_multistep_solver_continues_with_its_memory(name: str) -> None:
    prior = ToyPrior()

    def run(schedule: Schedule, x: Tensor, levels: list[float]) -> Tensor:
        for k in levels:
            x0 = prior.predict(schedule.input(x, k), torch.tensor([schedule.prior_t(k)])).x0
            x = schedule.step(x0, k, x, None, generators())
        return x

    first, whole, fresh, resumed = (build(name) for _ in range(4))
    start = first.noisy(None, torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(4)), first.first)
    levels = first.visits
    middle = run(first, start, levels[:4])
    resumed.load_state_dict(first.state_dict())
    wanted = run(whole, start, levels[:-1])
    assert torch.equal(run(resumed, middle, levels[4:-1]), wanted)
    assert not torch.equal(run(fresh, middle, levels[4:-1]), wanted)
