"""Models of the noise on a photo, y = φ(x) + n: how sure each value of y is."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import EIGHT_BITS, SIXTEEN_BITS

MIN_NOISE = SIXTEEN_BITS / 2  # below every start, so that a start can be learned from
MAX_NOISE = 0.5
HOLD = 10.0  # weight of a start, in nats per element
STEEPEST = 1.95  # slope of the variance; at 2 there would be no noise in black


class NoiseModel(nn.Module):
    """White Gaussian noise, the same everywhere: n ~ N(0, σ²). Other models are subclasses.

    A subclass overrides ``variance``; all that uses a noise model asks that. σ is learned, and held near its start: the
    start sees no texture as noise but knows no image; the residual of the clean estimate knows the image but takes what
    the prior cannot explain for noise, and correlated noise for image. Each corrects the other.

    Attributes:
        log_sigma: the logarithm of σ, in units of the [0, 1] range, a parameter.
        log_start: where it started.
    """

    log_start: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor(math.log(0.02)))
        self.register_buffer("log_start", self.log_sigma.detach().clone())

    def start(self, level: float, least: float = EIGHT_BITS) -> None:
        """Starts from σ = ``level``, but at least from ``least``, what the photo was rounded to."""
        self.log_sigma.data.fill_(math.log(min(max(level, least), MAX_NOISE)))
        self.log_start.copy_(self.log_sigma.detach())

    def level(self) -> Tensor:
        """σ, a scalar in units of the [0, 1] range: the standard deviation that is reported for the photo."""
        return self.log_sigma.exp().clamp(MIN_NOISE, MAX_NOISE)

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        """σ² of each value of y, a shape that broadcasts to (1, 3, H, W); infinite where y says nothing of φ(x).

        Args:
            y: the photo, (1, 3, H, W).
            y_hat: φ of a clean estimate, (1, 3, H, W); constant or differentiable.
        """
        return self.level().square().view(1, 1, 1, 1)

    def penalty(self) -> Tensor:
        """A scalar that holds the level to its start, in nats per element."""
        return HOLD * (self.log_sigma - self.log_start).square()


class CameraNoise(NoiseModel):
    """Gaussian noise that grows with the light, and may be the same in all channels: n ~ N(0, σ²·(1 + s·(ŷ − ½))).

    Attributes:
        common: correlation of the noise between the channels, 0 to 1. All noise of a gray photo is common.
        slope: s, 0 to ``STEEPEST``; σ is the noise of a value of ½.
    """

    common: Tensor
    slope: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("common", torch.zeros(()))
        self.register_buffer("slope", torch.zeros(()))

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        return super().variance(y, y_hat) * (1 + self.slope * (y_hat.detach().clamp(0, 1) - 0.5))

    def white(self) -> Tensor:
        """Standard deviation, a scalar, of independent noise of the same strength in brightness, in the tone of
        ``even``: what a prior is told that knows independent noise."""
        level: Tensor = even_level(self.level(), self.slope) * (1 + 2 * self.common).sqrt()
        return level.clamp(min=1e-4)


def even(y: Tensor, slope: Tensor | float) -> Tensor:
    """u = f(y), a tone from [0, 1] to itself in which noise of variance σ²·(1 + s·(y − ½)) is the same everywhere.

    f′ goes as 1/√(1 + s·(y − ½)) (Anscombe, 1948; Mäkitalo & Foi, TIP 2013); written so that s = 0 leaves y as it is.
    """
    dark, bright = _ends(slope)
    return y * (bright + dark) / ((1 + slope * (y - 0.5)).clamp(min=1e-6).sqrt() + dark)


def uneven(u: Tensor, slope: Tensor | float) -> Tensor:
    """f⁻¹(u), the inverse of ``even``."""
    dark, bright = _ends(slope)
    return (2 * dark * u + u.square() * (bright - dark)) / (bright + dark)


def even_level(level: Any, slope: Any) -> Any:
    """Standard deviation in the tone of ``even``, of noise that has ``level`` where y = ½."""
    dark, bright = _ends(slope)
    return level * (dark + bright) / 2


def _ends(slope: Any) -> tuple[Any, Any]:
    """√(1 − s/2) and √(1 + s/2): the noise in black and in white, over that in between."""
    return (1 - slope / 2) ** 0.5, (1 + slope / 2) ** 0.5
