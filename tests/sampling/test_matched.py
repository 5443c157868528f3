"""Noise-matched sampling: the noise that the prior is shown, the error it is found to make, and what is final.

In a world of independent Gaussian pixels everything is known exactly, the prior's own error included.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.fitting import Watch, matched
from helpers.moments import names
from zeroair_pl.degradations import Denoise, Noise, Observation, Side
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Method
from zeroair_pl.priors.base import Calibration, Prior

TAU, SIGMA = 0.15, 0.05


class Gaussian(Prior):
    """E[x_0 | x] for pixels N(½, τ²), its inputs kept, its calibration wrong by the factor ``wrong``."""

    def __init__(self, wrong: float = 1.0) -> None:
        self.name = "gaussian"
        self.seen: list[tuple[float, Tensor]] = []
        levels = (0.005, 0.015, 0.05, 0.15, 0.5, 1.5, 5.0)
        self.calibration = Calibration(levels, tuple(wrong * TAU * s / (TAU**2 + s**2) ** 0.5 for s in levels))

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        s = float(sigma[0])
        self.seen.append((s, x))
        return (0.5 + (x - 0.5) * TAU**2 / (TAU**2 + s**2)).clamp(0, 1)


class Known(Noise):
    """The noise level is given, and stays."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        self.noise.log_sigma.data.fill_(torch.tensor(SIGMA).log())

    def look(self, y: Tensor, denoise: Any) -> None:
        """Not at all: it is known."""


def world() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 0.5 + TAU * torch.randn(1, 3, 64, 64, generator=generator)
    return x, x + SIGMA * torch.randn(x.shape, generator=generator)


def run(prior: Gaussian, posterior_mean: bool = True, family: Any = Known, sigma_max: float = 0.8) -> Method:
    levels = {"sigma_max": sigma_max, "sigma_min": 0.0175}
    return matched(family, posterior_mean, prior=prior, modeling=[], steps=12, **levels)


def test_the_prior_is_shown_exactly_the_noise_that_it_is_told() -> None:
    x, y = world()
    prior = Gaussian()
    fit(y, names(1), run(prior))
    above = [(level, float((shown - x).std())) for level, shown in prior.seen if level > SIGMA]
    assert len(above) >= 4
    for level, found in above:
        assert found == pytest.approx(level, rel=0.03)


@pytest.mark.parametrize("wrong", [0.6, 1.0, 1.8])
def test_the_priors_error_is_measured_on_the_photo_itself(wrong: float) -> None:
    _, y = world()
    errors = Watch(lambda module: (float(module.state.noise), float(module.state.x0_error)))
    fit(y, names(1), run(Gaussian(wrong)), [errors])
    measured = [(level, found) for level, found in errors.seen if level > 1.2 * SIGMA]
    assert len(measured) >= 4
    for level, found in measured:
        assert found == pytest.approx(TAU * level / (TAU**2 + level**2) ** 0.5, rel=0.12)


def test_the_posterior_mean_is_final_where_the_photos_noise_is_reached() -> None:
    x, y = world()
    estimates = Watch(lambda module: (float(module.state.noise), module.state.x0))
    result = fit(y, names(1), run(Gaussian()), [estimates])
    below = [estimate for level, estimate in estimates.seen if level < SIGMA]
    assert len(below) >= 3
    assert all(torch.equal(estimate, below[0]) for estimate in below)
    wiener = 0.5 + TAU**2 / (TAU**2 + SIGMA**2) * (y - 0.5)  # E[x | y] in this world
    least = float((wiener - x).square().mean())
    assert float((result.restored - x).square().mean()) < 1.1 * least


def test_sampling_goes_on_below_where_a_sharp_image_is_wanted() -> None:
    _, y = world()
    estimates = Watch(lambda module: (float(module.state.noise), module.state.x0))
    fit(y, names(1), run(Gaussian(), posterior_mean=False), [estimates])
    below = [estimate for level, estimate in estimates.seen if level < SIGMA]
    assert not torch.equal(below[0], below[-1])


def test_the_last_look_averages_the_networks_own_grid_away() -> None:
    class Blocky(Gaussian):
        def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
            rows, columns = (torch.arange(n) for n in x.shape[-2:])
            return super().denoise(x, sigma) + 0.05 * (1 - 2 * ((rows[:, None] + columns) % 2))

    _, y = world()
    smooth, blocky = (fit(y, names(1), run(prior)).restored for prior in (Gaussian(), Blocky()))
    assert float((blocky - smooth)[..., 1:, 1:].abs().max()) < 1e-3, "a pattern of 0.05 is in every single look"


class Holes(Known):
    """A share of the values is lost, and that is known: the photo says nothing of them."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.lost = torch.rand(y.shape, generator=torch.Generator().manual_seed(3)) < 0.2

    def observe(self, y: Tensor) -> Observation | None:
        found = super().observe(y)
        assert found is not None
        return found._replace(sigma=torch.where(self.lost, torch.inf, found.sigma))

    def first_estimate(self, y: Tensor) -> Tensor:
        return torch.where(self.lost, 0.5, y)


def test_values_of_which_the_photo_says_nothing_are_estimated_to_the_end() -> None:
    """They were frozen at the first estimate once."""
    _, y = world()
    estimates = Watch(lambda module: module.state.x0[module.phi.each[0].lost])
    result = fit(y, names(1), run(Gaussian(), family=Holes), [estimates])
    assert bool(torch.isfinite(result.restored).all())
    changes = [float((b - a).abs().mean()) for a, b in pairwise(estimates.seen[:6])]
    assert min(changes) > 0, "each level estimates them anew"
    lost: Any = result.phi[0].lost
    told = torch.stack([(result.restored - 0.5)[lost], (y - 0.5)[lost]])
    assert abs(float(torch.corrcoef(told)[0, 1])) < 0.05, "nothing of what the photo has there"


def test_levels_begin_at_the_photos_own_noise_where_that_is_more() -> None:
    """Values noisier than a fixed first level were denoised at a wrong level once, and final at once."""

    class Heavy(Known):
        def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
            self.noise.log_sigma.data.fill_(torch.tensor(0.5).log())

        def noise_level(self) -> Tensor:
            return self.noise.log_sigma.exp()

    _, y = world()
    prior = Gaussian()
    fit(y, names(1), run(prior, family=Heavy, sigma_max=0.1))
    assert prior.seen[0][0] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("settings", [{"sigma_max": None}, {"sigma_min": 0.0}, {"sigma_max": 0.01}, {"steps": 0}])
def test_a_range_without_levels_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="sampling"):
        fit(world()[1], names(1), matched(Known, **settings))
