"""Noise and nothing else: what is left when the photo\'s content is right as it is."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise
from zeroair_pl.degradations.noise_level import look_at_noise, rounding


class Noise(Degradation):
    """No change of the content, y = x + n: only the noise level σ is learned.

    It starts from a look at what the prior takes for noise, see ``noise_level.look_at_noise``.
    """

    pointwise = True

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.noise.start(look_at_noise(y, denoise), rounding(y))

    def forward(self, x: Tensor) -> Tensor:
        return x
