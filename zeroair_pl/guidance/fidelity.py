"""Losses of pixels: the distance of φ(x0) from the photo or the clean estimate, and the total variation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState, per_image_mean
from zeroair_pl.tensors.per_image import PerImage

Target = Literal["y", "x0"]


class Fidelity(GuidanceLoss):
    """Mean squared error ‖φ(x0) − target‖² / N, averaged over the guided and the auxiliary map if both take part.

    Args:
        target: ``y`` for the degraded photo; ``x0`` for the clean estimate, so that a free-form φ keeps the content
            (the paper's reconstruction term).
    """

    def __init__(self, target: Target = "y") -> None:
        super().__init__()
        self.target = target

    def forward(self, state: GuidanceState) -> Tensor:
        loss = per_image_mean((state.y_hat - getattr(state, self.target)).square())
        if state.y_hat_auxiliary is None or state.x0_auxiliary is None:
            return loss
        target = state.y if self.target == "y" else state.x0_auxiliary
        return (loss + per_image_mean((state.y_hat_auxiliary - target).square())) / 2


class TotalVariation(GuidanceLoss):
    """Squared total variation of the clean estimate, mean (∂_h x0)² + mean (∂_w x0)², normalized by element count."""

    def forward(self, state: GuidanceState) -> Tensor:
        x = state.x0
        vertical = (x[..., 1:, :] - x[..., :-1, :]).square()
        horizontal = (x[..., :, 1:] - x[..., :, :-1]).square()
        return per_image_mean(vertical) + per_image_mean(horizontal)


class Likelihood(GuidanceLoss):
    """Gaussian negative log-likelihood of the photo with the learned noise level, in nats per element:

        ½ (y − φ(x0))² / v + ½ log v,    v = σ² + J²e² (1 − 2ρ),    ρ = min(1, σ²/(J s)²),    J = ∂φ/∂x.

    e is the error of the clean estimate and s the noise in x_t. Without e the noise level would have to explain the
    prior's blur too. The term in ρ is the covariance of the photo's noise with the clean estimate, which was itself
    made from the photo: by Stein's identity E[n·(x0 − x)] = σ²e²/s² for an MMSE estimate from x_t = x + n + further
    noise of total variance s². At s = σ this is the known E‖y − x0‖² = σ² − e², far above it σ² + e².
    """

    def forward(self, state: GuidanceState) -> Tensor:
        noise = state.noise_variance()
        gain = pointwise_gain(state.degradation, state.x0) if state.degradation.pointwise else torch.ones_like(state.y)
        error, x_noise = (v.square()[:, None, None, None] for v in (state.x0_error, state.noise))
        shared = (noise / (gain.square() * x_noise).clamp(min=1e-12)).clamp(max=1)
        variance = (noise + gain.square() * error * (1 - 2 * shared)).clamp(min=0.1 * noise.detach())
        residual = (state.y - state.y_hat).square()
        if bool(noise.isfinite().all()):
            return per_image_mean(0.5 * residual / variance + 0.5 * variance.log())
        known = noise.isfinite().expand_as(residual)  # elsewhere y has no information
        terms = 0.5 * residual / variance + 0.5 * variance.where(known, 1.0).log()
        return terms.where(known, 0.0).flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1)


def pointwise_gain(degradation: PerImage, x: Tensor) -> Tensor:
    """J = ∂φ/∂x at each pixel and channel of ``x`` (B, 3, H, W) for a pointwise φ, a constant; 1 for any other φ."""
    if not degradation.pointwise:
        return torch.ones_like(x)
    with torch.enable_grad():
        v = x.detach().requires_grad_()
        (gain,) = torch.autograd.grad(degradation(v).sum(), v)
    return gain.detach()
