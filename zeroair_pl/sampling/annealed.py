"""Annealed plug-and-play restoration: alternates a proximal step towards the photo and a pass of the prior."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided, ProximalUpdate
from zeroair_pl.priors.base import Prior
from zeroair_pl.ranges import Range
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.levels import check_levels, geometric
from zeroair_pl.tensors.per_image import PerImage
from zeroair_pl.tensors.views import View


class AnnealedSampler(Sampler):
    """For any φ, by default without fresh noise (half-quadratic splitting, as DPIR, Zhang et al., TPAMI 2021):

        z = argmin_z ‖y − φ(z)‖²/(2σ²) + λ‖z − u‖²/(2s²);    x0 = denoise(z, s);    u = x0 + μ(x0 − previous x0)

    s falls in equal ratios between the degradation's own ``levels``, or from ``sigma_max`` to ``sigma_min`` if it has
    none. The proximal step is the guidance update's, with the error s/√λ of u. Each pass rotates or flips the image in
    another of the eight ways, so that the network's systematic errors do not add up.

    A family may ask (``coarse``) that the prior sees the first levels at half the width and height. There the prior
    sees twice as far, and x0 has only large shapes anyway; a pass takes a quarter of the time.

    Args:
        trust: λ; a value above 1 gives the prior more weight, below 1 the photo.
        momentum: μ, from 0 to below 1.
        noise: standard deviation of the fresh noise that each pass adds, in units of s. 0 gives the most faithful
            image, near the mean of all plausible ones. 1 gives one sample of them, sharper and a little less faithful.
            Another seed gives another sample; where samples differ, the result is uncertain.

    Raises:
        ConfigError: from ``prepare``, if ``sigma_max`` is null or ``sigma_min`` is 0.
    """

    def __init__(
        self,
        trust: Annotated[float, Range(0, above=True)] = 0.35,
        momentum: Annotated[float, Range(0, 0.99)] = 0.5,
        noise: Annotated[float, Range(0, 1)] = 0.0,
    ) -> None:
        self.trust, self.momentum, self.noise = trust, momentum, noise

    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        check_levels(steps, sigma_max, sigma_min, "AnnealedSampler")
        assert sigma_max is not None
        self.prior, self.steps, self.range = prior, steps, (sigma_max, sigma_min)
        return [float(i) for i in range(steps)]

    def update(self) -> GuidanceUpdate:
        return ProximalUpdate()

    def start(self, y: Tensor, phi: PerImage, generators: list[torch.Generator]) -> None:
        super().start(y, phi, generators)
        own = [each.levels() or self.range for each in phi.each]
        high, low = (torch.tensor([each[k] for each in own]) for k in (0, 1))
        self.levels = geometric(high, low, self.steps)
        self.halved = 0 if self.noise else round(phi.first.coarse * self.steps)  # in a smaller image, noise is weaker
        with torch.no_grad():
            self.z = self.x0 = phi.call("first_estimate", y)
        self.x = self._noisy(0)

    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        return self._view(level).of(self.x), self.levels[int(level)]

    def estimate(self, level: float) -> Tensor:
        x0 = self._view(level).back(super().estimate(level), self.x)
        before, self.x0 = self.x0, x0
        return x0 + self.momentum * (x0 - before) if level else x0

    def error(self, x0: Tensor) -> Tensor:
        return (self.sigma / self.trust**0.5).to(x0)

    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        self.z = guided.x0
        self.x = self._noisy(int(level) + 1)

    def _view(self, level: float) -> View:
        return View(int(level), level < self.halved)

    def _noisy(self, level: int) -> Tensor:
        """The image for the prior at a level: the last proximal image z, with fresh noise if there is any."""
        if not self.noise or level >= self.steps:
            return self.z
        return self.z + self.noise * self.levels[level].to(self.z).view(-1, 1, 1, 1) * self.randn()

    @property
    def restored(self) -> Tensor:
        with torch.no_grad():
            found: Tensor = self.phi.call("result", self.x0, self.z)
        return found.clamp(0, 1)
