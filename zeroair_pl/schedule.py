"""Noise levels to visit, and any diffusers scheduler re-spaced to exactly those."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.base import Prior

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

Spacing = Literal["uniform", "log_snr"]


class Timesteps:
    """The noise schedule as a training set: one batch is one timestep, visited from noisy to clean, resumable.

    Args:
        values: the scheduler's own timesteps, in the order in which it visits them.
    """

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.position = 0

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        while self.position < len(self.values):
            self.position += 1
            yield self.values[self.position - 1]

    def state_dict(self) -> dict[str, int]:
        """Where the visit stands, for a checkpoint in the middle of an image."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues a visit."""
        self.position = state["position"]


class Schedule:
    """A diffusers scheduler on exactly the noise levels asked for, predicting from (guided) clean estimates.

    The prior's schedule is re-spaced as in improved DDPM (Nichol & Dhariwal, 2021): the scheduler is built with
    ``steps`` training timesteps whose ᾱ are the prior's at the levels to visit. So the number of steps, the start and
    the end are exact for every scheduler, also for those that assume a constant stride.

    Args:
        template: a scheduler of the wanted class and settings; its own betas are replaced by the prior's.
        prior: whose noise levels are visited.
        steps: number of timesteps.
        start, end: first and last level as a fraction of the prior's schedule; 1 is pure noise, 0 is clean.
        spacing: ``uniform`` in t, or uniform in the logarithm of the signal-to-noise ratio.
        eta: the share of fresh noise for a scheduler that has it (DDIM): 0 deterministic, 1 ancestral.

    Raises:
        ConfigError: the scheduler cannot be built on given noise levels, or a value is out of range.
    """

    def __init__(
        self,
        template: SchedulerMixin,
        prior: Prior,
        steps: int = 50,
        start: float = 1.0,
        end: float = 0.0,
        spacing: Spacing = "uniform",
        eta: float = 0.0,
    ) -> None:
        if steps < 1:
            raise ConfigError(f"sampling.steps: expected at least 1, got {steps}")
        if not 0 <= end <= start <= 1:
            raise ConfigError(f"sampling: expected 0 <= end <= start <= 1, got start={start} and end={end}")
        top = prior.num_timesteps - 1
        self.num_train_timesteps = prior.num_timesteps
        self.levels = _levels(prior, start * top, end * top, steps, spacing)  # ascending
        alpha_bar = prior.alpha_bar(self.levels)
        before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        betas = (1 - alpha_bar / before).clamp(1e-8, 0.9999)
        self.scheduler = _respaced(template, betas.tolist())
        try:
            self.scheduler.set_timesteps(steps)
        except Exception as error:
            raise ConfigError(f"sampling.scheduler: {type(template).__name__} cannot visit given levels: {error}") from error
        accepted = inspect.signature(self.scheduler.step).parameters
        self._extras: dict[str, Any] = {"eta": eta} if "eta" in accepted else {}
        self._takes_generator = "generator" in accepted
        self._learned_range = getattr(self.scheduler.config, "variance_type", "") in ("learned_range", "learned")
        if self._learned_range and not prior.learned_variance:
            raise ConfigError(
                f"sampling.scheduler: variance_type {self.scheduler.config.variance_type!r} needs a prior that predicts "
                f"variances, and {prior.name!r} does not; use fixed_small or fixed_large"
            )
        self.start = start
        self.full_steps = steps / max(start - end, 1e-6)

    @property
    def timesteps(self) -> Timesteps:
        """The levels as a fresh training set, in the scheduler's own numbering."""
        return Timesteps([float(k) for k in self.scheduler.timesteps])

    def prior_t(self, k: float) -> float:
        """The prior's timestep, possibly fractional, of the scheduler's timestep ``k``."""
        low = max(0, min(int(k), len(self.levels) - 1))
        high = min(low + 1, len(self.levels) - 1)
        return float(torch.lerp(self.levels[low], self.levels[high], min(max(k - low, 0.0), 1.0)))

    def noisy(self, x0: Tensor | None, noise: Tensor) -> Tensor:
        """The first x_t: pure noise, or the clean image ``x0`` (B, 3, H, W) in [-1, 1] with noise at the first level."""
        if x0 is None:
            return noise * float(self.scheduler.init_noise_sigma)
        first = self.scheduler.timesteps[:1].expand(len(x0))
        return self.scheduler.add_noise(x0, noise, first)

    def input(self, x_t: Tensor, k: float) -> Tensor:
        """x_t on the variance-preserving scale that the prior expects."""
        return self.scheduler.scale_model_input(x_t, self._timestep(k))

    def step(
        self, x0: Tensor, k: float, x_t: Tensor, variance: Tensor | None, generators: list[torch.Generator]
    ) -> Tensor:
        """x_{t−1} from the guided clean estimate ``x0`` in [-1, 1]; fresh noise comes from the images' generators."""
        extras = dict(self._extras)
        if self._takes_generator:
            extras["generator"] = generators
        output = x0 if variance is None or not self._learned_range else torch.cat([x0, variance], dim=1)
        return self.scheduler.step(output, self._timestep(k), x_t, **extras).prev_sample

    def _timestep(self, k: float) -> Any:
        timesteps = self.scheduler.timesteps
        return timesteps[(timesteps.double() - k).abs().argmin()]


def _levels(prior: Prior, high: float, low: float, steps: int, spacing: Spacing) -> Tensor:
    ends = torch.tensor([low, high], dtype=torch.float64)
    if steps == 1:
        return ends[1:]
    if spacing == "uniform":
        return torch.linspace(low, high, steps, dtype=torch.float64)
    alpha_bar = prior.alpha_bar(ends)
    noise = ((1 - alpha_bar) / alpha_bar).sqrt().log()
    return prior.timestep(torch.linspace(float(noise[0]), float(noise[1]), steps, dtype=torch.float64).exp())


def _respaced(template: SchedulerMixin, betas: list[float]) -> Any:
    kind = type(template)
    accepted = inspect.signature(kind.__init__).parameters
    if "trained_betas" not in accepted:
        raise ConfigError(
            f"sampling.scheduler: {kind.__name__} cannot be built on a prior's noise levels (it has no trained_betas); "
            "use for example DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler or UniPCMultistepScheduler"
        )
    forced: dict[str, Any] = {
        "num_train_timesteps": len(betas),
        "trained_betas": betas,
        "prediction_type": "sample",
        "clip_sample": False,
        "thresholding": False,
        "timestep_spacing": "trailing",
        "steps_offset": 0,
        "rescale_betas_zero_snr": False,
        "set_alpha_to_one": True,
    }
    config = {k: v for k, v in dict(template.config).items() if k in accepted}
    return kind(**{**config, **{k: v for k, v in forced.items() if k in accepted}})
