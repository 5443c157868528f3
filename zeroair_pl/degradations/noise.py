"""Noise and no other degradation."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.jpeg_tables import Tables
from zeroair_pl.degradations.noise_kind import kind_of_noise
from zeroair_pl.degradations.noise_level import rounding
from zeroair_pl.degradations.noise_models import CameraNoise, even, uneven
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

# Quality of a JPEG file up to which coarse detail in the residual is what JPEG has left of texture, and from which on
# it is the noise of a camera; cameras do not save at a lower quality.
CAMERA = 68.0, 74.0
OWN = (0.8, 0.98)  # correlations between channels: the photo's own colors are not used below, and fully used above


class Noise(Degradation):
    """No change of the content, y = x + n: only the noise is learned, its level σ by test-time modeling.

    ``noise_kind.kind_of_noise`` finds two kinds of noise before the fit. For noise that is the same in all channels,
    the prior gets a higher noise level. For noise that grows with brightness, y = φ(x) + n with a tone curve φ: x is
    the clean photo in a tone in which the noise is the same everywhere, and ``result`` converts x back.

    Args:
        level: σ, the standard deviation of the noise in units of [0, 1]; null to find and learn it.
    """

    pointwise = True
    noise: CameraNoise
    facts = ("reason", "camera")

    def __init__(self, level: Annotated[float | None, Range(0, 0.5)] = None) -> None:
        super().__init__()
        self.level = level
        self.noise = CameraNoise()
        self.camera = 1.0  # how likely the photo is as a camera has saved it

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        if "jpeg" in side:
            self.camera = ramp(Tables.of_file(side["jpeg"]).quality(), *CAMERA)
        super().initialize(y, side, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        kind = kind_of_noise(y, denoise, self.camera)
        self.noise.start(kind.level if self.level is None else self.level, rounding(y))
        self.noise.common.fill_(kind.common)
        self.noise.slope.fill_(kind.slope)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return super().parameter_groups(lr) if self.level is None else []

    def forward(self, x: Tensor) -> Tensor:
        return uneven(x, self.noise.slope)

    def invert(self, y: Tensor) -> Tensor:
        return even(y, self.noise.slope)

    def observe(self, y: Tensor) -> Observation | None:
        return Observation(self.invert(y), self.noise.white() * torch.ones_like(y))

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        """The clean photo. If its noise is the same in all channels, its colors are those of the photo, z."""
        zero, full = OWN
        own = ((self.noise.common - zero) / (full - zero)).clamp(0, 1)
        return uneven(x0 + own * ((z - x0) - (z - x0).mean(1, keepdim=True)), self.noise.slope)
