"""Noise-matched sampling: x is drawn from the photo itself, with exactly the noise level that the prior is given."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Observation
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.matched import MatchedUpdate, observed
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.vp import schedule_fraction
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.levels import check_levels, geometric
from zeroair_pl.tensors.per_image import PerImage

SHIFTS = ((0, 1), (1, 0), (1, 1))  # in pixels; more shifts did not improve the result
ROUNDING = 1 + 1e-4  # tolerance: rounding in φ⁻¹ makes equal noise levels slightly different
_SAMPLED = 200_000  # number of values that is enough for a quantile


class NoiseMatchedSampler(Sampler):
    """For a φ that can be inverted: z = φ⁻¹(y) is the clean image with known noise of standard deviation ε.

    At a level s ≥ ε, a value of x is z plus noise of variance s² − ε², so that x has noise of exactly s. When s falls
    below the ε of a value, its estimate is kept, and x is this estimate plus noise of variance s². A value without
    information in the photo (ε = ∞, or ε above the first level) is x0 plus noise of variance s², and is estimated at
    each level. z changes with φ while φ is learned. (DDRM, Kawar et al., NeurIPS 2022, does this for a fixed linear φ.)

    When s would fall below the smallest ε of an image, the last estimate is made at exactly this ε, without added
    noise. For noise that is the same everywhere, it is the posterior mean E[x | y]. The image is then finished.

    The levels fall in equal ratios to ``sigma_min``. They start at the first of the degradation's own ``levels``, or at
    ``sigma_max`` if it has none, but at least at the 99.8 % quantile of ε.

    Args:
        posterior_mean: keep each value's estimate from the level where s reaches ε, which gives the most faithful
            image. If false, the sampler continues to lower levels, to one of many plausible sharp images.

    Raises:
        ConfigError: from ``prepare``, if ``sigma_max`` is null or ``sigma_min`` is 0.
    """

    def __init__(self, posterior_mean: bool = True) -> None:
        self.posterior_mean = self.scales = posterior_mean

    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        check_levels(steps, sigma_max, sigma_min, "NoiseMatchedSampler")
        assert sigma_max is not None
        self.prior, self.steps, self.sigma_max, self.sigma_min = prior, steps, sigma_max, sigma_min
        return [float(i) for i in range(steps)]

    def update(self) -> GuidanceUpdate:
        return MatchedUpdate()

    def start(self, y: Tensor, phi: PerImage, generators: list[torch.Generator]) -> None:
        super().start(y, phi, generators)
        seen = observed(phi, y)
        first = torch.tensor([(each.levels() or (self.sigma_max,))[0] for each in phi.each])
        high = torch.stack([highest(sigma) for sigma in seen.sigma]).cpu().maximum(first)
        self.sigmas = geometric(high, torch.full((len(y),), self.sigma_min), self.steps)
        with torch.no_grad():
            self.x0 = phi.call("first_estimate", y)
        self.crossed = torch.zeros_like(y, dtype=torch.bool)  # values that were drawn from the photo at some level
        self.finished = torch.tensor([each.untouched for each in phi.each])  # such a photo stays as it is
        self.ratio = torch.ones(len(y))  # error of the clean estimate on this photo, divided by the calibrated error
        self._draw(seen, 0)

    def _draw(self, seen: Observation, i: int, past: Tensor | None = None) -> None:
        """Draws x for the i-th level; ``past``, if given, replaces the values that are not drawn from the photo."""
        level = self.sigmas[i]
        smallest = seen.sigma.flatten(1).amin(1).cpu()
        # The last estimate is made at the photo's own noise level, without added noise.
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
        """t/T of the level itself; a photo at its last estimate may use another noise level."""
        return schedule_fraction(float(self.sigmas[int(level)].max()))

    def error(self, x0: Tensor) -> Tensor:
        """e, measured from the noise that was added, if there is enough of it; else with the last measured ratio.

        By Stein's identity, the error of E[x_0 | x_0 + n] is e² = s²·E⟨m, x0⟩/E⟨m, m⟩ for any part m of the noise that
        is known and independent of the photo. This needs no reference image and no second pass.
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
        if not self.posterior_mean:  # a deterministic step, as in DDIM
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
    """The 99.8 % quantile of the finite values in ``sigma``, of any shape, as a scalar; 0 if there are none."""
    values = sigma.flatten()
    values = values[:: max(1, len(values) // _SAMPLED)]
    values = values[values.isfinite()]
    return values.quantile(0.998) if len(values) else sigma.new_zeros(())


def cycle_spin(
    prior: Prior, x0: Tensor, x: Tensor, sigma: Tensor, shifts: tuple[tuple[int, int], ...] = SHIFTS
) -> Tensor:
    """Averages ``x0`` in place with the estimates of shifted images (cycle spinning, Coifman & Donoho, 1995).

    A network with blocks and strides adds a faint pattern of their size, mainly in flat areas. The pattern moves with
    the grid of blocks, but the photo does not, so the mean reduces it. A shifted image lacks the first rows or columns.

    ``x0`` are the prior's clean estimates of ``x``, both (B, 3, H, W), at the noise levels ``sigma``, (B,). Each shift
    of (rows, columns) takes one pass of the prior.
    """
    for k, (down, right) in enumerate(shifts, start=1):
        x0[..., down:, right:].lerp_(prior.denoise(x[..., down:, right:], sigma).to(x0), 1 / (k + 1))
    return x0
