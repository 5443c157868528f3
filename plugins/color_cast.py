"""The color of the light: photos that are too yellow, too blue or too green all over."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from zeroair_pl.degradations import Degradation, Denoise, Side
from zeroair_pl.ranges import Range


class ColorCast(Degradation):
    """A wrong white balance, y_c = g_c·x_c + n, with one gain g_c for each channel (von Kries, 1902).

    Starts from a gray world (Buchsbaum, 1980), trusted in part, since photos of lawns are green; the mean brightness
    stays as it is.

    Args:
        trust: share of the color of the photo's mean that is taken for the light's, 0 to 1.
    """

    pointwise = True
    log_gain_start: Tensor

    def __init__(self, trust: Annotated[float, Range(0, 1)] = 0.7) -> None:
        super().__init__()
        self.trust = trust

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        mean = y.mean((2, 3), keepdim=True) + 1e-3  # black, too, has a color then
        self.register_buffer("log_gain_start", self.trust * (mean / mean.mean()).clamp(0.2, 5).log())
        self.log_gain = nn.Parameter(self.log_gain_start.clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.log_gain.exp() * x

    def invert(self, y: Tensor) -> Tensor:
        return y / self.log_gain.exp()

    def penalty(self) -> Tensor:
        return super().penalty() + 10 * (self.log_gain - self.log_gain_start).square().mean()

    def diagnostics(self) -> dict[str, Tensor]:
        return {"gain": self.log_gain.exp()}
