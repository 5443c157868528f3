"""Nobody says what happened to the photo: the family that the photo shows most of, and as much of it as it shows."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.low_light import LowLight
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.noise_level import look_at_noise, rounding
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.recognition import look_for
from zeroair_pl.degradations.underwater import Underwater

FAMILIES: tuple[type[Degradation], ...] = (LowLight, Haze, Underwater)
LEAST = 0.03  # a severity up to it is none
# Learned noise level, up to which it is left alone: two steps of 8 bits are 1.6 % of a mid gray, about where an eye
# begins to see grain of single pixels on a screen. Clean photos are found to have 1.2 to 1.8 steps, since faint texture
# counts too; the least of the photos with camera noise that were looked at has 3.8.
UNSEEN = 2 / 255
RIVAL = 0.7  # of the largest severity: up to it, the second largest takes nothing away


class Auto(Degradation):
    """Haze, low light, water, or nothing but noise: y = φ(x) + n with that family's φ, to the degree that it shows.

    Each family says how much of it the photo shows (``severity``). The one that shows most is corrected, by that share;
    where it is 0, so is the correction, and what remains is ``Noise``. Where two show about as much as each other,
    neither is trusted. Thus nothing flips: a photo that is a little different is restored a little differently.
    Mixtures are not looked for.
    """

    pointwise = True  # as all that it may choose

    def __init__(self) -> None:
        super().__init__()
        self.chosen: Degradation = Noise()

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        small = looked_at(y)
        found = {family: family.severity(small) for family in FAMILIES}
        best = max(found, key=lambda family: found[family])
        share = trusted(list(found.values()))
        if share > 0:
            self.chosen = best()
            self.chosen.amount.fill_(share)
            self.reason = f"{share:.0%} of {look_for(best.__name__, small).why}"
        self.chosen.initialize(y, side, denoise)
        self.amount.copy_(self.chosen.amount)
        self.noise = self.chosen.noise  # one model, known by both names
        self._blend_noise(y, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.chosen.measure_noise(y, denoise)
        self._blend_noise(y, denoise)

    def _blend_noise(self, y: Tensor, denoise: Denoise) -> None:
        """The noise in part as ``Noise`` sees it: a slight correction leaves the contrast that it goes by."""
        share, own = float(self.amount), self.noise.log_sigma.detach().clone()
        if isinstance(self.chosen, Noise) or share == 1:
            return
        self.noise.start(look_at_noise(y, denoise), rounding(y))
        self.noise.log_sigma.data.lerp_(own, share)
        self.noise.log_start.copy_(self.noise.log_sigma.detach())

    @property
    def kind(self) -> str:
        return self.chosen.kind

    @property
    def untouched(self) -> bool:
        """Nothing was found, and the noise that was learned is too faint to be seen."""
        return isinstance(self.chosen, Noise) and float(self.noise_level().detach()) <= UNSEEN

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.chosen(x)
        return out

    def invert(self, y: Tensor) -> Tensor:
        return self.chosen.invert(y)

    def observe(self, y: Tensor) -> Observation | None:
        return self.chosen.observe(y)

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return self.chosen.result(x0, z)

    def penalty(self) -> Tensor:
        return self.chosen.penalty()

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return self.chosen.parameter_groups(lr)

    def diagnostics(self) -> dict[str, Tensor]:
        return self.chosen.diagnostics()


def trusted(severities: list[float]) -> float:
    """The share to correct, 0 to 1, of the largest of several severities: all of it where no other comes near."""
    *_, second, most = sorted([0.0, *severities])
    if most <= LEAST:
        return 0.0
    return min(1.0, (most - LEAST) / (1 - LEAST)) * min(1.0, (1 - second / most) / (1 - RIVAL))
