"""Noise and nothing else: what is left when the photo\'s content is right as it is."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from zeroair_pl.degradations.base import MAX_NOISE, MIN_NOISE, Degradation
from zeroair_pl.degradations.noise_level import LOOK, matched_noise_level


class Noise(Degradation):
    """No change of the content, y = x + n: only the noise level σ is learned.

    It starts from a look at what the prior takes for noise, see ``matched_noise_level``.
    """

    pointwise = True

    def look(self, y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> None:
        level = max(float(self.noise_level().detach()), LOOK)
        found = matched_noise_level(y - denoise(y, level))
        self.log_noise.data.fill_(math.log(min(max(found, MIN_NOISE), MAX_NOISE)))
        self.log_noise_start.copy_(self.log_noise.detach())

    def forward(self, x: Tensor) -> Tensor:
        return x
