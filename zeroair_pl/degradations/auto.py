"""Nobody says what happened to the photo: the family that the photo itself looks most like."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.low_light import LowLight
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.underwater import Underwater

FAMILIES: tuple[type[Degradation], ...] = (LowLight, Haze, Underwater)
DOUBT = 0.5  # of ``plausibility``: at or below it, a photo has its noise removed and is left alone otherwise


class Auto(Degradation):
    """The most plausible of haze, low light, water and nothing but noise, y = φ(x) + n with that family's φ.

    Each family looks at the photo (``plausibility``), the surest one is taken if it is sure enough, and from then on
    this is that family. Mixtures are not looked for.
    """

    pointwise = True  # as all that it may choose

    def __init__(self) -> None:
        super().__init__()
        self.chosen: Degradation = Noise()

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        found = {family: family.plausibility(y) for family in FAMILIES}
        best = max(found, key=lambda family: found[family])
        self.chosen = best() if found[best] > DOUBT else Noise()
        self.chosen.initialize(y, side, denoise)
        self.noise = self.chosen.noise  # one model, known by both names

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.chosen.measure_noise(y, denoise)

    @property
    def kind(self) -> str:
        return self.chosen.kind

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.chosen(x)
        return out

    def invert(self, y: Tensor) -> Tensor:
        return self.chosen.invert(y)

    def penalty(self) -> Tensor:
        return self.chosen.penalty()

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return self.chosen.parameter_groups(lr)

    def diagnostics(self) -> dict[str, Tensor]:
        return self.chosen.diagnostics()
