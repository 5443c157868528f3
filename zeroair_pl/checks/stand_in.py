"""A prior without weights, for checks of what works with one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.priors.vp import Prediction, VPPrior


class _Blurring(VPPrior):
    """A stand-in without weights: a blur that widens with the noise, shrunk as a posterior mean would be."""

    def __init__(self) -> None:
        self.name = "blurring"
        self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        with torch.no_grad():
            alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
            noise = ((1 - alpha_bar) / alpha_bar).sqrt()
            x = x_t / alpha_bar.sqrt()
            blurred = F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
            mixed = torch.lerp(x, blurred, (noise / 0.5).clamp(max=1))
            return Prediction((mixed / (1 + noise.square() / 25)).clamp(-1, 1))

    def features(self, x: Tensor) -> list[Tensor]:
        x = 2 * x - 1
        edges = torch.cat([x[..., 1:, 1:] - x[..., 1:, :-1], x[..., 1:, 1:] - x[..., :-1, 1:]], dim=1)
        return [edges, F.avg_pool2d(x, 4, ceil_mode=True)]
