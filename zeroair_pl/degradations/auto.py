"""Automatic choice of the degradation: the family that the photo shows most, applied as strongly as it shows it."""

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
LEAST = 0.03  # a severity up to this counts as 0
# Learned noise level up to which noise is not removed. Two steps of 8 bits are 1.6 % of a mid gray; about there, an eye
# begins to see grain of single pixels on a screen. For clean photos, the learned level is 1.2 to 1.8 steps, since faint
# texture counts too. The lowest level of the photos with camera noise that were measured is 3.8 steps.
UNSEEN = 2 / 255
RIVAL = 0.7  # share of the largest severity; a second largest below it does not reduce the correction


class Auto(Degradation):
    """Haze, low light, water, or nothing but noise: y = φ(x) + n with that family's φ, to the degree that it shows.

    Each family measures how strongly the photo shows it (``severity``). ``Auto`` takes the family with the largest
    severity, and corrects the photo by this share (``amount``). If the share is 0, ``Noise`` remains. If two families
    have nearly the same severity, the share decreases, to 0 if they are equal. So a small change of the photo changes
    the result only a little. ``Auto`` does not look for mixtures of families.
    """

    pointwise = True  # all families that it chooses from are

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
        self.noise = self.chosen.noise  # the same module under both names
        self._blend_noise(y, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.chosen.measure_noise(y, denoise)
        self._blend_noise(y, denoise)

    def _blend_noise(self, y: Tensor, denoise: Denoise) -> None:
        """Mixes in the noise model of ``Noise``: it is valid for a slight correction, which keeps the contrast."""
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
        """Whether no family was found, and the learned noise is too faint to see."""
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
    """The share to correct, 0 to 1, from the severities of all families.

    It is the largest severity if no other is close to it, and falls to 0 if the two largest are equal.
    """
    *_, second, most = sorted([0.0, *severities])
    if most <= LEAST:
        return 0.0
    return min(1.0, (most - LEAST) / (1 - LEAST)) * min(1.0, (1 - second / most) / (1 - RIVAL))
