"""The settings that decide how a photo is restored, and the result of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.downscaled import MOST, enlarging
from zeroair_pl.guidance.fidelity import Likelihood
from zeroair_pl.guidance.stages import Boundaries, Term
from zeroair_pl.guidance.updates import GuidanceUpdate
from zeroair_pl.priors.base import Prior
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.sampling import AnnealedSampler, NoiseMatchedSampler, Sampler


@ranged("modeling")
@dataclass
class Modeling:
    """How the degradation model learns from the clean estimates.

    Args:
        terms: the losses that φ minimizes, and their weights in each stage.
        lr: learning rate of Adam for the noise level; the rates of other parameters are multiples that a family states.
        steps: optimizer steps on φ at each timestep. In a fit, a parameter moves by about lr·steps·levels at most.
        penalty: weight of the family's own penalty.
    """

    terms: list[Term] = field(default_factory=lambda: [Term(Likelihood(), 1.0)])
    lr: Annotated[float, Range(0)] = 0.008
    steps: Annotated[int, Range(0)] = 1
    penalty: Annotated[float, Range(0)] = 1.0


@dataclass
class Guidance:
    """How the clean estimate is guided.

    Args:
        terms: the losses and their weights in the three stages.
        update: the form of the step; by default the one that the sampler needs.
        boundaries: where the stages end.
    """

    terms: list[Term] = field(default_factory=list)
    update: GuidanceUpdate | None = None
    boundaries: Boundaries = field(default_factory=Boundaries)


@ranged("sampling")
@dataclass
class Sampling:
    """The noise levels and the sampler.

    By default the levels fall in equal ratios from the noise of a heavily degraded photo to that of a clean one.

    Args:
        steps: number of noise levels, and so of passes of the prior for each noise map.
        sigma_max: first noise level, a standard deviation in units of [0, 1]; null for pure noise.
        sigma_min: last noise level; the clean estimate there is the result. A value above 0 gives an image nearer to
            the mean of all plausible photos (fidelity) than to one of them (texture).
        sampler: by default NoiseMatchedSampler for a degradation that can be inverted, AnnealedSampler for any other.
        working_pixels: a photo with more pixels is fitted on a copy of about this size; the full size only takes the
            levels of its own noise (see ``large``). Only with NoiseMatchedSampler; others fit it at full size.
    """

    steps: Annotated[int, Range(1)] = 10
    sigma_max: Annotated[float | None, Range(0, above=True)] = 0.26
    sigma_min: Annotated[float, Range(0)] = 0.0114
    sampler: Sampler | None = None
    working_pixels: Annotated[int, Range(256)] = 1_500_000

    def sampler_for(self, phi: Degradation, y: Tensor) -> Sampler:
        """A new sampler for a fit; ``phi`` is an initialized degradation model, and ``y`` (1, 3, H, W) its photo."""
        if self.sampler is not None:
            return self.sampler.fresh()
        with torch.no_grad():
            return AnnealedSampler() if phi.observe(y) is None else NoiseMatchedSampler()

    def prepared(self, sampler: Sampler, prior: Prior, phi: Degradation | None = None) -> list[float]:
        """Gives the sampler its prior and noise levels; returns one number for each level, in the sampler's own form.

        ``phi``, an initialized degradation model, may need fewer levels (``enough``).

        Raises:
            ConfigError: the sampler cannot use these levels.
        """
        steps = max(1, round((phi.enough if phi else 1.0) * self.steps))
        return sampler.prepare(prior, steps, self.sigma_max, self.sigma_min)


@ranged()
@dataclass
class Method:
    """Everything that decides how a photo is restored.

    Args:
        degradation: makes a new degradation model for each photo.
        prior: the frozen prior.
        modeling: how φ learns.
        guidance: how the clean estimate is guided.
        sampling: the noise levels and the sampler.
        seed: the seed and a photo's name decide all its random numbers.
        upscale: the restored photo is this many times as wide and as high.
    """

    degradation: Callable[[], Degradation]
    prior: Prior
    modeling: Modeling = field(default_factory=Modeling)
    guidance: Guidance = field(default_factory=Guidance)
    sampling: Sampling = field(default_factory=Sampling)
    seed: Annotated[int, Range(0)] = 0
    upscale: Annotated[float, Range(1, MOST)] = 1.0

    def fresh(self) -> Degradation:
        """A new degradation model for one photo, not initialized; with ``upscale``, it includes ``Downscaled``."""
        return enlarging(self.degradation, self.upscale)()

    def prototype(self) -> Degradation:
        """A degradation model for its properties that hold for any photo, such as ``factor``; draws no random number of
        the caller's."""
        with torch.random.fork_rng(devices=[]):
            return self.fresh()


@dataclass
class Result:
    """The outcome of one fit of B photos.

    Attributes:
        restored: (B, 3, H, W) in [0, 1], on the CPU.
        diagnostics: for each photo, the maps and numbers of its degradation, (1, C, H, W) or (1, C, 1, 1).
        noise_level: (B,) learned σ.
        nfe: for each photo, the number of images that the prior has denoised (number of function evaluations).
        seconds: wall-clock time of the fit.
        phi: the degradation models, on the CPU.
        lost: why the fit has diverged, for each photo without a result, by the photo's index.
    """

    restored: Tensor
    diagnostics: list[dict[str, Tensor]]
    noise_level: Tensor
    nfe: list[int]
    seconds: float
    phi: list[Degradation] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)

    def of(self, i: int) -> Result:
        """The result of the i-th photo alone, with an equal share of the time."""
        seconds = self.seconds / len(self.restored)
        own, sigma = self.restored[i : i + 1], self.noise_level[i : i + 1]
        return Result(own, [self.diagnostics[i]], sigma, [self.nfe[i]], seconds, [self.phi[i]])
