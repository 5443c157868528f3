"""The contract of a sampler: it makes noisy images from clean estimates, from the first level to the result."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided, ProximalUpdate
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.vp import schedule_fraction
from zeroair_pl.ranges import Ranged
from zeroair_pl.tensors.per_image import PerImage, randn
from zeroair_pl.tensors.threads import all_threads


class Sampler(Ranged, ABC):
    """Advances the noisy images x of one fit. A new sampler is one file with one subclass of this.

    A fit calls ``prepare`` and ``start`` once, ``restored`` at the end, and at each level, through
    ``method.sampling.DiffusionSampling``,

        x0 = sampler.estimate(level)          E[x_0 | x]: the prior's answer to what ``shown`` returns
        φ learns from x0 and y;  x0' = guided x0
        sampler.advance(x0', state, level)    the next x

    Images are (B, 3, H, W) in [0, 1], noise levels (B,) in the same unit.

    Attributes:
        maps: noise maps for each image; 2 with the paper's auxiliary map.
        scales: a large photo may be fitted at a smaller size first, see ``method.large``.
        sigma: (B,) noise level of the prior's last pass.
        nfe: (B,) number of function evaluations: images that the prior has denoised so far.
        finished: (B,) whether the result of an image is final.
    """

    maps: int = 1
    scales: bool = False
    prior: Prior
    y: Tensor
    phi: PerImage
    generators: list[torch.Generator]
    sigma: Tensor
    nfe: Tensor
    finished: Tensor

    def fresh(self) -> Sampler:
        """A copy for one fit; the settings are shared."""
        return copy.copy(self)

    @abstractmethod
    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        """Takes the prior and the range of levels; returns a number for each level, from noisy to clean.

        Args:
            steps: number of levels.
            sigma_max, sigma_min: first and last noise level; ``None`` for pure noise.

        Raises:
            ConfigError: the range is impossible.
        """

    def update(self) -> GuidanceUpdate:
        """The form of guidance that is used by default."""
        return ProximalUpdate()

    def start(self, y: Tensor, phi: PerImage, generators: list[torch.Generator]) -> None:
        """Prepares a fit. A subclass makes its first x here.

        Args:
            y: the photos.
            phi: their initialized degradation models.
            generators: random generators, one for each photo.
        """
        self.y, self.generators, self.phi = y, generators, phi
        self.shape = (3, *phi.first.shape(y[:1]))
        self.nfe = torch.zeros(len(y), dtype=torch.long)
        self.finished = torch.zeros(len(y), dtype=torch.bool)

    @abstractmethod
    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        """The input of the prior at this level: x and its noise level, (K·B, 3, H, W) and (K·B,)."""

    def estimate(self, level: float) -> Tensor:
        """The prior's clean estimates, (K·B, 3, H, W)."""
        x, sigma = self.shown(level)
        self.sigma = sigma[: len(self.y)].cpu()
        if not bool(torch.isfinite(self.sigma).all()):  # a prior would look for that in its schedule
            raise DivergenceError(f"{type(self).__name__}: the noise level for the prior is not finite")
        return self.denoise(x, sigma)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The prior's answer; counts the images in ``nfe``."""
        self.nfe[~self.finished] += len(x) // len(self.y) or 1
        with all_threads():
            return self.prior.denoise(x, sigma)

    def fraction(self, level: float) -> float:
        """The place of this level on the paper's schedule, t/T, which decides the stage."""
        return schedule_fraction(float(self.sigma.max()))

    def error(self, x0: Tensor) -> Tensor:
        """(B,): root-mean-square error of the clean estimate; by default the measured error of the prior."""
        return self.prior.rmse(self.sigma).to(x0)

    @abstractmethod
    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        """Makes the x of the next level from the guided clean estimate and the current φ (``state.degradation``)."""

    @property
    @abstractmethod
    def restored(self) -> Tensor:
        """The result so far, (B, 3, H, W) in [0, 1]."""

    @property
    def full_steps(self) -> float:
        """Number of steps of a full schedule from pure noise at this spacing, for the paper's gradient step."""
        return 1000.0

    def randn(self) -> Tensor:
        """Standard normal numbers of the shape of the clean images, from their generators."""
        return randn(self.shape, self.generators, self.y.device)

    def state_dict(self) -> dict[str, Any]:
        """The state, for a checkpoint during a fit."""
        kept = {name: value for name, value in vars(self).items() if isinstance(value, Tensor) and name != "y"}
        return {**kept, "generators": [generator.get_state() for generator in self.generators]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state of a checkpoint; called after ``start``."""
        for generator, saved in zip(self.generators, state["generators"], strict=True):
            generator.set_state(saved)
        device = self.y.device
        for name, value in state.items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device) if value.ndim == 4 else value.cpu())
