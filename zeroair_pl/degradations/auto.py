"""Nobody says what happened to the photo: the family that the photo shows most of, and as much of it as it shows."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.low_light import LowLight
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.recognition import look_for
from zeroair_pl.degradations.underwater import Underwater

FAMILIES: tuple[type[Degradation], ...] = (LowLight, Haze, Underwater)
LEAST = 0.03  # a severity up to it is none
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

    def initialize(self, y: Tensor) -> None:
        small = looked_at(y)
        found = {family: family.severity(small) for family in FAMILIES}
        best = max(found, key=lambda family: found[family])
        share = trusted(list(found.values()))
        if share > 0:
            self.chosen = best()
            self.chosen.amount.fill_(share)
            self.reason = f"{share:.0%} of {look_for(best.__name__, small).why}"
        self.chosen.initialize(y)
        self.amount.copy_(self.chosen.amount)
        # One noise level, known by both names.
        self.log_noise, self.log_noise_start = self.chosen.log_noise, self.chosen.log_noise_start

    def look(self, y: Tensor, denoise: Callable[[Tensor, float], Tensor]) -> None:
        """The family's own look. A slight correction leaves the photo's contrast, and so its noise is ``Noise``'s."""
        chosen, share = self.chosen, float(self.amount)
        if isinstance(chosen, Noise) or share == 1:
            chosen.look(y, denoise)
            return
        own = chosen.log_noise.detach().clone()
        chosen.look_for_noise(y, denoise)
        chosen.log_noise.data.lerp_(own, share)
        chosen.log_noise_start.copy_(chosen.log_noise.detach())

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

    def diagnostics(self) -> dict[str, Tensor]:
        return self.chosen.diagnostics()


def trusted(severities: list[float]) -> float:
    """The share to correct, 0 to 1, of the largest of several severities: all of it where no other comes near."""
    *_, second, most = sorted([0.0, *severities])
    if most <= LEAST:
        return 0.0
    return min(1.0, (most - LEAST) / (1 - LEAST)) * min(1.0, (1 - second / most) / (1 - RIVAL))
