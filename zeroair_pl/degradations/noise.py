"""Noise and nothing else: what is left when the photo\'s content is right as it is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from zeroair_pl.degradations.base import Degradation


class Noise(Degradation):
    """No change of the content, y = x + n: only the noise level σ is learned.

    It starts from a look at what the prior takes for noise, see ``look_for_noise``.
    """

    pointwise = True

    def look(self, y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> None:
        self.look_for_noise(y, denoise)

    def forward(self, x: Tensor) -> Tensor:
        return x
