"""Annealed plug-and-play restoration: a proximal step towards the photo, then the prior as a denoiser, in turn."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided, ProximalUpdate
from zeroair_pl.priors.base import Prior
from zeroair_pl.ranges import Range
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.levels import check_levels, geometric
from zeroair_pl.tensors.per_image import PerImage


class AnnealedSampler(Sampler):
    """For any φ, without fresh noise (half-quadratic splitting, as DPIR, Zhang et al., TPAMI 2021):

        z = argmin_z ‖y − φ(z)‖²/(2σ²) + λ‖z − x0‖²/(2s²);    x0 = denoise(z, s)

    s falls in equal ratios from ``sigma_max`` to ``sigma_min``. The result is the last x0, so it holds no noise of the
    photo. The proximal step is the guidance update's, told that x0 has the error s/√λ.

    Args:
        trust: λ; above 1 leans to the prior, below 1 to the photo.
    """

    def __init__(self, trust: Annotated[float, Range(0, above=True)] = 0.35) -> None:
        self.trust = trust

    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        check_levels(steps, sigma_max, sigma_min)
        if sigma_max is None or sigma_min == 0:
            raise ConfigError("sampling: AnnealedSampler needs a finite sigma_max and a sigma_min above 0")
        self.prior, self.steps = prior, steps
        self.levels = geometric(torch.tensor([sigma_max]), torch.tensor([sigma_min]), steps)[:, 0]
        return [float(i) for i in range(steps)]

    def update(self) -> GuidanceUpdate:
        return ProximalUpdate(iterations=1, conjugate_gradients=10)

    def start(self, y: Tensor, phi: PerImage, generators: list[torch.Generator]) -> None:
        super().start(y, phi, generators)
        with torch.no_grad():
            self.x = self.x0 = phi.call("first_estimate", y)

    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        return self.x, self.levels[int(level)].expand(len(self.x))

    def error(self, x0: Tensor) -> Tensor:
        return (self.sigma / self.trust**0.5).to(x0)

    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        self.x0, self.x = state.x0, guided.x0

    @property
    def restored(self) -> Tensor:
        return self.x0.clamp(0, 1)
