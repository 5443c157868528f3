"""Models of the noise n in y = φ(x) + n, which give the variance of each value of y."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import EIGHT_BITS, SIXTEEN_BITS

MIN_NOISE = SIXTEEN_BITS / 2  # below every start, where the clamp would stop the gradient
MAX_NOISE = 0.5
HOLD = 10.0  # weight of the penalty that holds log σ near its start, in nats per value
STEEPEST = 1.95  # largest slope of the variance; at 2, black would have no noise


class NoiseModel(nn.Module):
    """White Gaussian noise, the same everywhere: n ~ N(0, σ²). Other models are subclasses.

    A subclass overrides ``variance``, which all users of a noise model call. σ is learned, and a penalty holds it near
    its start, because the two sources of information have different errors. The start comes from the photo alone. The
    residual y − φ(x0) uses the clean image, but counts image details that the prior cannot explain as noise, and
    correlated noise as image.

    Attributes:
        log_sigma: log σ, a scalar parameter, with σ in units of [0, 1].
        log_start: the start of ``log_sigma``, a buffer.
    """

    log_start: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor(math.log(0.02)))
        self.register_buffer("log_start", self.log_sigma.detach().clone())

    def start(self, level: float, least: float = EIGHT_BITS) -> None:
        """Sets σ and its start to ``level``, but at least to ``least``, the rounding error of the photo."""
        self.log_sigma.data.fill_(math.log(min(max(level, least), MAX_NOISE)))
        self.log_start.copy_(self.log_sigma.detach())

    def level(self) -> Tensor:
        """σ, a scalar in units of the [0, 1] range: the standard deviation that is reported for the photo."""
        return self.log_sigma.exp().clamp(MIN_NOISE, MAX_NOISE)

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        """σ² of each value of y, in a shape that broadcasts to (1, 3, H, W); infinite where y does not depend on φ(x).

        Args:
            y: the photo, (1, 3, H, W).
            y_hat: φ of a clean estimate, (1, 3, H, W); constant or differentiable.
        """
        return self.level().square().view(1, 1, 1, 1)

    def penalty(self) -> Tensor:
        """The penalty 10·(log σ − log σ₀)² that holds σ near its start σ₀; a scalar, in nats per value."""
        return HOLD * (self.log_sigma - self.log_start).square()


class CameraNoise(NoiseModel):
    """Gaussian noise that grows with brightness, n ~ N(0, σ²·(1 + s·(ŷ − ½))), and may be equal in all channels.

    ŷ is φ(x0).

    Attributes:
        common: correlation of the noise between the channels, 0 to 1; 1 for a gray photo.
        slope: s, 0 to ``STEEPEST``. σ is the standard deviation of the noise at a value of ½.
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
        """The noise level for a prior that was trained on independent noise, a scalar, in the tone of ``even``.

        Independent noise of this standard deviation has the same strength in brightness.
        """
        level: Tensor = even_level(self.level(), self.slope) * (1 + 2 * self.common).sqrt()
        return level.clamp(min=1e-4)


def even(y: Tensor, slope: Tensor | float) -> Tensor:
    """u = f(y), a tone curve from [0, 1] to [0, 1] that makes noise of variance σ²·(1 + s·(y − ½)) equal everywhere.

    f′ is proportional to 1/√(1 + s·(y − ½)) (Anscombe, 1948; Mäkitalo & Foi, TIP 2013). For s = 0, f(y) = y.
    """
    dark, bright = _ends(slope)
    return y * (bright + dark) / ((1 + slope * (y - 0.5)).clamp(min=1e-6).sqrt() + dark)


def uneven(u: Tensor, slope: Tensor | float) -> Tensor:
    """f⁻¹(u), the inverse of ``even``."""
    dark, bright = _ends(slope)
    return (2 * dark * u + u.square() * (bright - dark)) / (bright + dark)


def even_level(level: Any, slope: Any) -> Any:
    """Standard deviation, in the tone of ``even``, of noise whose standard deviation is ``level`` at y = ½."""
    dark, bright = _ends(slope)
    return level * (dark + bright) / 2


def _ends(slope: Any) -> tuple[Any, Any]:
    """√(1 − s/2) and √(1 + s/2): the noise in black and in white, relative to the noise at ½."""
    return (1 - slope / 2) ** 0.5, (1 + slope / 2) ** 0.5
