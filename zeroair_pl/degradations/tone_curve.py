"""The tone curve of a faded photo, or of one that was saved with too little or too much contrast."""

from __future__ import annotations

from typing import Annotated, Any

from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.maps import quantiles
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

ENDS = 0.001  # share of the values of a channel that may be darker than its black, or brighter than its white
USUAL = 0.03, 0.98  # black and white of most photos
FADED = 0.12, 0.17  # black of a photo that may be faded, and of one that surely is
DULL = 0.7, 0.6  # white of a photo with a usual black that may have lost contrast, and of one that surely has
LEAST = 0.05  # smallest distance of white from black


class ToneCurve(Degradation):
    """y = b + (w − b)·x^γ + n with one curve for all channels: black became b, white became w, middle tones moved.

    Fading raises the darkest values of all channels. So b is found if these are brighter than in other photos, and then
    w from the brightest values. A photo with a usual black gets a new white only if it has nothing bright at all. The
    pixels do not tell γ, since scenes differ more in their middle tones than tone curves do: it must be given.

    Args:
        black: b, below 0 for a photo with too much contrast; null to find it.
        white: w, above 1 for a photo with too much contrast; null to find it.
        gamma: γ, above 1 if the middle tones became too dark, below 1 if they became too bright.
    """

    pointwise = True

    def __init__(
        self,
        black: Annotated[float | None, Range(-1, 0.9)] = None,
        white: Annotated[float | None, Range(0.1, 2)] = None,
        gamma: Annotated[float, Range(0.2, 5)] = 1.0,
    ) -> None:
        super().__init__()
        self.black, self.white, self.gamma = black, white, gamma

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        black, white = ends_of(y)
        black = black if self.black is None else self.black
        white = max(white if self.white is None else self.white, black + LEAST)
        amount = float(self.amount)
        numbers = {"black": amount * black, "white": 1 - amount * (1 - white), "gamma": self.gamma**amount}
        for name, value in numbers.items():
            self.register_buffer(f"own_{name}", y.new_full((1, 1, 1, 1), value))
        super().initialize(y, side, denoise)

    def _numbers(self) -> tuple[Tensor, Tensor, Tensor]:
        black, white, gamma = (self.get_buffer(f"own_{name}") for name in ("black", "white", "gamma"))
        return black, white - black, gamma

    def forward(self, x: Tensor) -> Tensor:
        black, span, gamma = self._numbers()
        # The floor keeps the derivative of the power finite at black.
        return black + span * (x.clamp(min=1e-4) ** gamma if self.gamma != 1 else x)

    def invert(self, y: Tensor) -> Tensor:
        black, span, gamma = self._numbers()
        x = (y - black) / span
        return x.clamp(min=0) ** (1 / gamma) if self.gamma != 1 else x

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.noise.parameters()), "lr": lr}]  # the prior prefers more contrast than scenes have

    @property
    def untouched(self) -> bool:
        black, span, gamma = (float(each) for each in self._numbers())
        return (black, span, gamma) == (0.0, 1.0, 1.0)

    def diagnostics(self) -> dict[str, Tensor]:
        return {name: self.get_buffer(f"own_{name}") for name in ("black", "white", "gamma")}


def ends_of(y: Tensor) -> tuple[float, float]:
    """b and w of a photo (1, 3, H, W), in [0, 1]; 0 and 1 if it is not faded."""
    black, white = float(quantiles(y, ENDS).min()), float(quantiles(y, 1 - ENDS).max())
    faded = ramp(black, *FADED)
    dull = max(faded, ramp(white, *DULL))
    return faded * max(0.0, black - USUAL[0]), 1 - dull * (1 - min(1.0, white / USUAL[1]))
