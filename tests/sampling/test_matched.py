"""Sampling anchored at the photo: the noise that the prior is shown, the error it is found to make, and what is final.

In a world of independent Gaussian pixels everything is known exactly, the prior's own error included.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.fitting import Watch, method
from helpers.moments import names
from helpers.toys import ToyPrior
from zeroair_pl.degradations import Noise
from zeroair_pl.guidance.anchored import AnchoredUpdate
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Method
from zeroair_pl.priors import Prediction
from zeroair_pl.priors.base import Calibration

TAU, SIGMA = 0.15, 0.05


class Gaussian(ToyPrior):
    """E[x_0 | x_t] for pixels N(½, τ²), its inputs kept, its calibration wrong by the factor ``wrong``."""

    def __init__(self, wrong: float = 1.0) -> None:
        super().__init__()
        self.seen: list[tuple[float, Tensor]] = []
        noise, signal = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), 2 * TAU  # in units of the [-1, 1] range
        self.calibration = Calibration(noise, tuple(wrong * signal * n / (signal**2 + n**2) ** 0.5 for n in noise))

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        alpha_bar = float(self.alpha_bar(t[:1]))
        z, noise = x_t / alpha_bar**0.5, (1 - alpha_bar) / alpha_bar
        self.seen.append((noise**0.5 / 2, (z + 1) / 2))
        return Prediction((z * (2 * TAU) ** 2 / ((2 * TAU) ** 2 + noise)).clamp(-1, 1))


class Known(Noise):
    """The noise level is given, and stays."""

    def initialise(self, y: Tensor) -> None:
        self.log_noise.data.fill_(torch.tensor(SIGMA).log())

    def look(self, y: Tensor, denoise: Any) -> None:
        """Not at all: it is known."""


def world() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 0.5 + TAU * torch.randn(1, 3, 64, 64, generator=generator)
    return x, x + SIGMA * torch.randn(x.shape, generator=generator)


def run(prior: Gaussian, posterior_mean: bool = True) -> Method:
    levels = {"start": 0.3, "end": 0.01, "spacing": "log_snr"}
    update = AnchoredUpdate(posterior_mean)
    return method(Known, prior, modelling=[], update=update, steps=12, **levels)  # type: ignore[arg-type]


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
        def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
            rows, columns = (torch.arange(n) for n in x_t.shape[-2:])
            return Prediction(super().predict(x_t, t).x0 + 0.1 * (1 - 2 * ((rows[:, None] + columns) % 2)))

    _, y = world()
    smooth, blocky = (fit(y, names(1), run(prior)).restored for prior in (Gaussian(), Blocky()))
    assert float((blocky - smooth)[..., 1:, 1:].abs().max()) < 1e-3, "a pattern of 0.05 is in every single look"
