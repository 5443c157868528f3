"""Models of the noise on a photo, y = φ(x) + n: how sure each value of y is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import EIGHT_BITS, SIXTEEN_BITS

MIN_NOISE = SIXTEEN_BITS / 2  # below every start, so that a start can be learned from
MAX_NOISE = 0.5
HOLD = 10.0  # weight of a start, in nats per element


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
