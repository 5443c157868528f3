"""A photo with holes that a mask tells of."""

import torch
from torch import Tensor

from zeroair_pl.degradations import Degradation, Denoise, NoiseModel, Side


class KnownWhere(NoiseModel):
    def __init__(self, missing: Tensor) -> None:
        super().__init__()
        self.register_buffer("missing", missing)

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        return super().variance(y, y_hat).where(self.get_buffer("missing") == 0, torch.inf)


class Masked(Degradation):
    """y = x + n, where the mask is black."""

    pointwise = True

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        self.noise = KnownWhere(side["missing"])
        super().initialize(y, side, denoise)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def first_estimate(self, y: Tensor) -> Tensor:
        known = 1 - self.noise.get_buffer("missing")
        return torch.where(known > 0, y, (y * known).sum((2, 3), keepdim=True) / known.sum())
