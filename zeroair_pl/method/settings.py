"""What decides how a photo is restored, and what comes out: the data that is handed around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.downscaled import MOST, enlarging
from zeroair_pl.method.restoration import Modelling
from zeroair_pl.method.sampling import Guidance
from zeroair_pl.priors.base import Prior
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.sampling import AnnealedSampler, NoiseMatchedSampler, Sampler


@ranged("sampling")
@dataclass
class Sampling:
    """Which noise levels are visited, and how.

    By default from the noise of a heavily degraded photo down to that of a clean one, in equal ratios.

    Args:
        steps: noise levels, and so passes of the prior for each noise map.
        sigma_max: first noise level, a standard deviation in units of [0, 1]; null for pure noise.
        sigma_min: last noise level; the clean estimate there is the result. Above 0 it is nearer to the mean of all
            plausible photos (fidelity) than to one of them (texture).
        sampler: by default NoiseMatchedSampler for a degradation that can be inverted, AnnealedSampler for any other.
        working_pixels: a larger photo is solved at about so many pixels, and sees the prior at full size only over the
            levels of its own noise; see ``large``. Only with NoiseMatchedSampler; others solve it at full size.
    """

    steps: Annotated[int, Range(1)] = 16
    sigma_max: Annotated[float | None, Range(0, above=True)] = 0.26
    sigma_min: Annotated[float, Range(0)] = 0.0114
    sampler: Sampler | None = None
    working_pixels: Annotated[int, Range(256)] = 1_500_000

    def sampler_for(self, phi: Degradation, y: Tensor) -> Sampler:
        """A sampler for one fit of photos as ``y`` (1, 3, H, W) with its degradation model, which is initialized."""
        if self.sampler is not None:
            return self.sampler.fresh()
        with torch.no_grad():
            return AnnealedSampler() if phi.observe(y) is None else NoiseMatchedSampler()

    def prepared(self, sampler: Sampler, prior: Prior) -> list[float]:
        """Gives the sampler its prior and levels; returns the levels as the sampler numbers them.

        Raises:
            ConfigError: it cannot visit these levels.
        """
        return sampler.prepare(prior, self.steps, self.sigma_max, self.sigma_min)


@ranged()
@dataclass
class Method:
    """Everything that decides how a photo is restored."""

    degradation: Callable[[], Degradation]
    prior: Prior
    modelling: Modelling = field(default_factory=Modelling)
    guidance: Guidance = field(default_factory=Guidance)
    sampling: Sampling = field(default_factory=Sampling)
    seed: Annotated[int, Range(0)] = 0
    upscale: Annotated[float, Range(1, MOST)] = 1.0

    def fresh(self) -> Degradation:
        """A degradation for one photo, before it has seen it; with ``upscale``, one that made it smaller."""
        return enlarging(self.degradation, self.upscale)()


@dataclass
class Result:
    """The outcome of one fit of B photos.

    Attributes:
        restored: (B, 3, H, W) in [0, 1], on the CPU.
        diagnostics: for each photo, the maps and numbers of its degradation, (1, C, H, W) or (1, C, 1, 1).
        noise_level: (B,) learned σ.
        nfe: for each photo, images that the prior was shown (number of function evaluations).
        seconds: wall-clock time of the fit.
        phi: the degradation models, on the CPU.
        lost: of photos that have no result, by their place: how their fit has diverged.
    """

    restored: Tensor
    diagnostics: list[dict[str, Tensor]]
    noise_level: Tensor
    nfe: list[int]
    seconds: float
    phi: list[Degradation] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)

    def of(self, i: int) -> Result:
        """What concerns the i-th photo alone, with its share of the time."""
        seconds = self.seconds / len(self.restored)
        own, sigma = self.restored[i : i + 1], self.noise_level[i : i + 1]
        return Result(own, [self.diagnostics[i]], sigma, [self.nfe[i]], seconds, [self.phi[i]])
