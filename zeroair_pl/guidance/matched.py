"""Data consistency for noise-matched sampling, where the clean estimate was itself made from the photo."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Observation
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided, descend
from zeroair_pl.tensors.per_image import PerImage


class MatchedUpdate(GuidanceUpdate):
    """The best unbiased combination of z = φ⁻¹(y), with noise ε, and the clean estimate x0, with error e.

    x0 was made from z, so their errors have the covariance c = ε²e²/s² (Stein), and

        x0' = w·z + (1 − w)·x0,    w = (e² − c)/(e² + ε² − 2c),

    which is the proximal step at s ≫ ε, and x0 itself at s = ε, where it is the posterior mean E[x | y].
    """

    def __call__(self, state: GuidanceState, terms: list[tuple[Term, float]], steps: int) -> Guided:
        seen = observed(state.degradation, state.y)
        e2, s2 = (v.square()[:, None, None, None] for v in (state.x0_error, state.noise))
        x, variance = combined(seen, state.x0, e2, s2)
        x, losses = descend(state, x, terms, lambda _: variance)
        return Guided(x.clamp(0, 1), state.x0_auxiliary, observation=seen, losses=losses)


def combined(seen: Observation, x0: Tensor, e2: Tensor | float, s2: Tensor | float) -> tuple[Tensor, Tensor]:
    """x0' and the variance that is left of its error, from e² and s²; all (B, 3, H, W), or broadcast to that."""
    eps2 = seen.sigma.square()
    e2, s2 = (torch.as_tensor(v, dtype=x0.dtype, device=x0.device) for v in (e2, s2))
    below = eps2 < s2
    eps2 = torch.where(below, eps2, s2)  # finite also where the photo says nothing
    shared = eps2 * e2 / s2
    weight = ((e2 - shared) / (e2 + eps2 - 2 * shared).clamp(min=1e-12)).clamp(0, 1)
    weight = torch.where(below, weight, 0)
    image = torch.where(below, seen.image, x0)
    return torch.lerp(x0, image, weight), torch.where(below, (1 - weight) * e2 + weight * shared, e2)


@torch.no_grad()
def observed(phi: PerImage, y: Tensor) -> Observation:
    """What each φ says of its photo y (B, 3, H, W) as a noisy clean image.

    Raises:
        ConfigError: φ cannot be inverted.
    """
    found: Observation | None = phi.call("observe", y)
    if found is None:
        raise ConfigError(
            "sampling.sampler: NoiseMatchedSampler needs a degradation that can be inverted; use AnnealedSampler"
        )
    return found
