"""Losses that hold φ(x0) to the photo, or to the clean estimate."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState, per_image_mean

Target = Literal["y", "x0"]


class Fidelity(GuidanceLoss):
    """Mean squared error ‖φ(x0) − target‖² / N, averaged over the guided and the auxiliary map where both take part.

    Args:
        target: ``y`` holds φ(x0) to the degraded photo; ``x0`` holds it to the clean estimate, which keeps the content
            of a free-form φ (the paper's reconstruction term).
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


class Likelihood(GuidanceLoss):
    """Gaussian negative log-likelihood of the photo with the learned noise level, in nats per element:

        ½ (y − φ(x0))² / s² + ½ log s²,    s² = σ² + (e · ∂φ/∂x)².

    The clean estimate is only known to e, its expected error at t. Without e the noise level would have to explain the
    prior's blur too, and grow with t.
    """

    def forward(self, state: GuidanceState) -> Tensor:
        spread = self.spread(state)
        residual = (state.y - state.y_hat).square()
        return per_image_mean(0.5 * residual / spread + 0.5 * spread.log())

    @staticmethod
    def spread(state: GuidanceState) -> Tensor:
        """s², (B, 3, H, W) or (B, 1, 1, 1): the variance of y around φ(x0)."""
        noise = state.noise_level().square()[:, None, None, None]
        error = state.x0_error.square()[:, None, None, None]
        if not all(phi.pointwise for phi in state.degradation):
            return noise + error
        with torch.enable_grad():
            x = state.x0.detach().requires_grad_()
            (gain,) = torch.autograd.grad(state.degradation(x).sum(), x)
        return noise + error * gain.detach().square()
