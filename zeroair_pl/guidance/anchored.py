"""Noise-matched sampling: where the degradation can be inverted, the photo itself is the noisy sample."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import Anchor, GuidanceUpdate, Guided, descend
from zeroair_pl.tensors.per_image import PerImage


class AnchoredUpdate(GuidanceUpdate):
    """Noise-matched sampling for a pointwise φ: the photo, looked at through φ⁻¹, *is* a noisy sample of the prior.

    z = φ⁻¹(y) is the clean image with noise of standard deviation ε = σ/|∂φ/∂x| (as a secant over ±σ). While the
    sampler's noise s is above ε, x_t is drawn from it,

        x_t = sqrt(ᾱ)·z + noise of variance s² − ε²,

    which has exactly the noise that the prior is told (as DDRM, Kawar et al., NeurIPS 2022, does for linear operators).
    z follows φ while φ is being learned. The clean estimate x0, with error e, was then made from z, so their errors
    have the covariance c = ε²e²/s² (Stein), and the best unbiased combination of the two is

        x0' = w·z + (1 − w)·x0,    w = (e² − c)/(e² + ε² − 2c),

    which is the proximal step at s ≫ ε, and x0 itself at s = ε, where it is the posterior mean E[x | y].

    Args:
        posterior_mean: keep each pixel's estimate from the level where s reaches ε: the most faithful image. Off, the
            sampler goes on below it to one plausible sharp image of many.
    """

    def __init__(self, posterior_mean: bool = True) -> None:
        self.posterior_mean = posterior_mean

    def anchor(self, y: Tensor, degradation: PerImage) -> Anchor | None:
        if not degradation.pointwise:
            raise ConfigError("guidance.update: AnchoredUpdate needs a pointwise family; use ProximalUpdate here")
        with torch.no_grad():
            seen = degradation.dicts("seen_through", y)
        return Anchor(*(torch.cat([each[name] for each in seen]) for name in ("image", "noise")))

    def __call__(self, state: GuidanceState, terms: list[tuple[Term, float]], steps: int) -> Guided:
        anchor = self.anchor(state.y, state.degradation)
        assert anchor is not None
        e2, s2 = (v.square()[:, None, None, None] for v in (state.x0_error, state.noise))
        eps2 = anchor.noise.square()
        shared = eps2 * e2 / s2
        weight = ((e2 - shared) / (e2 + eps2 - 2 * shared).clamp(min=1e-12)).clamp(0, 1)
        weight = torch.where(eps2 < s2, weight, torch.zeros_like(weight))
        x = weight * anchor.image + (1 - weight) * state.x0
        variance = torch.where(eps2 < s2, (1 - weight) * e2 + weight * shared, e2)
        x, losses = descend(state, x, variance, terms)
        return Guided(x.clamp(0, 1), state.x0_auxiliary, anchor=anchor, losses=losses)
