"""Additive Gaussian noise with a learned level: φ(x) = x."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.degradations.base import Degradation


class Noise(Degradation):
    """Additive Gaussian noise, y = x + n with n ~ N(0, σ²): φ is the identity and σ is all there is to learn."""

    pointwise = True

    def forward(self, x: Tensor) -> Tensor:
        return x
