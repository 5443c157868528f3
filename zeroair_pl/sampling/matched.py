"""Noise-matched sampling: x is drawn from the photo itself, with exactly the noise level that the prior gets."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Observation
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.matched import MatchedUpdate, observed
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.vp import schedule_fraction
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.levels import check_levels, geometric
from zeroair_pl.tensors.per_image import PerImage

SHIFTS = ((0, 1), (1, 0), (1, 1))  # in pixels; further ones were no better
ROUNDING = 1 + 1e-4  # the rounding of φ⁻¹ makes equal noise slightly unequal
_SAMPLED = 200_000  # values that are enough for a quantile


class NoiseMatchedSampler(Sampler):
    """For a φ that can be inverted: z = φ⁻¹(y) is the clean image with known noise of standard deviation ε.

    A value with ε ≤ s is drawn as z plus noise of variance s² − ε², so that x has noise of exactly s. Where s has
    fallen below its ε, its estimate is kept, and x is that estimate plus noise of variance s²; a value of which the
    photo says nothing (ε = ∞, or above the first level) goes on to be estimated in that way. z follows φ while φ is
    being learned (as DDRM, Kawar et al., NeurIPS 2022, does for a fixed linear φ).

    Once s would fall below the smallest ε of an image, its last estimate is made at exactly that level, without added
    noise: for noise that is equal everywhere this is the posterior mean E[x | y]. The image is then finished.

    The levels fall in equal ratios to ``sigma_min``, from ``sigma_max`` or, if that is more, from the noise of all but
    0.2 % of the values.

    Args:
        posterior_mean: keep each value's estimate from the level where s reaches ε: the most faithful image. Off, the
            sampler goes on below it to one plausible sharp image of many.
    """

    def __init__(self, posterior_mean: bool = True) -> None:
        self.posterior_mean = self.scales = posterior_mean

    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        check_levels(steps, sigma_max, sigma_min)
        if sigma_max is None or sigma_min == 0:
            raise ConfigError("sampling: NoiseMatchedSampler needs a finite sigma_max and a sigma_min above 0")
        self.prior, self.steps, self.sigma_max, self.sigma_min = prior, steps, sigma_max, sigma_min
        return [float(i) for i in range(steps)]

    def update(self) -> GuidanceUpdate:
        return MatchedUpdate()

    def start(self, y: Tensor, phi: PerImage, generators: list[torch.Generator]) -> None:
        super().start(y, phi, generators)
        seen = observed(phi, y)
        high = torch.stack([highest(sigma) for sigma in seen.sigma]).clamp(min=self.sigma_max)
        self.sigmas = geometric(high.cpu(), torch.full((len(y),), self.sigma_min), self.steps)
        with torch.no_grad():
            self.x0 = phi.call("first_estimate", y)
        self.crossed = torch.zeros_like(y, dtype=torch.bool)  # values that x had from the photo at some level
        self.ratio = torch.ones(len(y))  # error of the clean estimate on this photo, over what is known of the prior
        self._draw(seen, 0)

    def _draw(self, seen: Observation, i: int, past: Tensor | None = None) -> None:
        """x for the i-th level; ``past`` is what takes the place of values that are not drawn from the photo."""
        level = self.sigmas[i]
        smallest = seen.sigma.flatten(1).amin(1).cpu()
        # A photo with less noise than the last level is not looked at with noise added to it.
        self.last = ((smallest >= level) | (i + 1 == self.steps)) & self.posterior_mean
        self.sigma = torch.where(self.last, smallest, level)
        s = self.sigma.to(seen.image)[:, None, None, None]
        self.inside = seen.sigma <= s * ROUNDING
        noise = self.randn() * added(seen.sigma, s)
        self.known = torch.where(self.inside, noise, 0)
        x = torch.where(self.inside, seen.image, self.x0) + noise
        self.x = x if past is None else torch.where(self.inside, x, past)

    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        return self.x, self.sigma

    def estimate(self, level: float) -> Tensor:
        if bool(self.finished.all()):
            return self.x0
        x0 = super().estimate(level)
        looks = self.last & ~self.finished
        if bool(looks.any()):
            self.nfe[looks] += len(SHIFTS)
            rows = looks.to(x0.device)
            x0[rows] = cycle_spin(self.prior, x0[rows], self.x[rows], self.sigma[looks], SHIFTS)
        return torch.where(self.finished.to(x0.device)[:, None, None, None], self.x0, x0)

    def fraction(self, level: float) -> float:
        """Of the level itself, which a photo that is looked at for the last time may have left."""
        return schedule_fraction(float(self.sigmas[int(level)].max()))

    def error(self, x0: Tensor) -> Tensor:
        """From the noise that was added, where there is enough of it, else as last measured.

        By Stein's identity the error of E[x_0 | x_0 + n] is e² = s²·E⟨m, x0⟩/E⟨m, m⟩ for any part m of the noise that
        is known and independent of the photo: no reference and no second pass is needed.
        """
        expected = self.prior.rmse(self.sigma)
        power = self.known.square().flatten(1).mean(1).cpu()
        share = (self.known * x0).flatten(1).mean(1).cpu() / power.clamp(min=1e-12)
        measured = self.sigma * share.clamp(min=0).sqrt() / expected
        self.ratio = torch.where(power > 0.1 * self.sigma.square(), measured.clamp(0.5, 2.5), self.ratio)
        return (self.ratio * expected).to(x0)

    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        x0, past = guided.x0, None
        if self.posterior_mean:
            kept = (self.crossed & ~self.inside) | self.finished.to(x0.device)[:, None, None, None]
            x0 = torch.where(kept, self.x0, x0)
        self.x0, self.crossed = x0, self.crossed | self.inside
        self.finished = self.finished | self.last
        following = int(level) + 1
        if following == self.steps or bool(self.finished.all()):
            return
        if not self.posterior_mean:  # on by itself, as DDIM does
            s = self.sigma.to(x0)[:, None, None, None]
            past = x0 + (self.x - x0) * (self.sigmas[following].to(x0)[:, None, None, None] / s)
        seen = guided.observation or observed(state.degradation, state.y)
        self._draw(seen, following, past)

    @property
    def restored(self) -> Tensor:
        with torch.no_grad():
            found: Tensor = self.phi.call("result", self.x0, observed(self.phi, self.y).image)
        return found.clamp(0, 1)


def added(epsilon: Tensor, s: Tensor | float) -> Tensor:
    """Standard deviation of the noise to add at level s, for values with noise ε: √(s² − ε²) where ε ≤ s, else s."""
    s = torch.as_tensor(s, dtype=epsilon.dtype, device=epsilon.device)
    return torch.where(epsilon <= s * ROUNDING, (s.square() - epsilon.square()).clamp(min=0).sqrt(), s)


def highest(sigma: Tensor) -> Tensor:
    """The noise that all but 0.2 % of the values in ``sigma`` stay below; infinite ones do not count. A scalar."""
    values = sigma.flatten()
    values = values[:: max(1, len(values) // _SAMPLED)]
    values = values[values.isfinite()]
    return values.quantile(0.998) if len(values) else sigma.new_zeros(())


def cycle_spin(
    prior: Prior, x0: Tensor, x: Tensor, sigma: Tensor, shifts: tuple[tuple[int, int], ...] = SHIFTS
) -> Tensor:
    """Makes ``x0`` the mean of itself and of the estimates of shifted images (cycle spinning, Coifman & Donoho, 1995).

    A network that works on blocks and strides leaves a faint pattern of their size, in flat areas above all. It moves
    with the grid, and the photo does not. A shifted image is the image without its first rows or columns.
    """
    for k, (down, right) in enumerate(shifts, start=1):
        x0[..., down:, right:].lerp_(prior.denoise(x[..., down:, right:], sigma).to(x0), 1 / (k + 1))
    return x0
