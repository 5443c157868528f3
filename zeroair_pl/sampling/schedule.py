"""A diffusers scheduler on given noise levels of a prior."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.vp import VPPrior
from zeroair_pl.sampling.respacing import respaced

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

Spacing = Literal["uniform", "log_snr"]


class Schedule:
    """A diffusers scheduler that visits given noise levels, and steps from (guided) clean estimates.

    The prior's schedule is re-spaced as in improved DDPM (Nichol & Dhariwal, 2021): the scheduler is built with
    ``steps`` training timesteps that have the prior's ᾱ at these levels. So the number of steps, the start and the end
    are exact for every scheduler, also if it assumes a constant stride.

    Args:
        template: a scheduler of the wanted class and settings; its own betas are replaced by the prior's.
        prior: its noise levels are visited.
        steps: number of timesteps.
        sigma_max: first noise level, in units of [0, 1]; ``None`` for the schedule's last, pure noise.
        sigma_min: last noise level; 0 for the schedule's first.
        spacing: ``uniform`` in t, or uniform in the logarithm of the signal-to-noise ratio.
        eta: the share of fresh noise for a scheduler that has it (DDIM): 0 deterministic, 1 ancestral.

    Raises:
        ConfigError: the scheduler cannot be built on given noise levels, or a value is out of range.
    """

    def __init__(
        self,
        template: SchedulerMixin,
        prior: VPPrior,
        steps: int = 50,
        sigma_max: float | None = None,
        sigma_min: float = 0.0,
        spacing: Spacing = "uniform",
        eta: float = 0.0,
    ) -> None:
        top = prior.num_timesteps - 1
        high = top if sigma_max is None else float(prior.timestep(torch.tensor(2 * sigma_max)))
        low = float(prior.timestep(torch.tensor(2 * sigma_min))) if sigma_min else 0.0
        if not low < high and steps > 1:
            raise ConfigError(
                f"sampling: the schedule of {prior.name!r} has no {steps} levels between sigma_max={sigma_max} and "
                f"sigma_min={sigma_min}"
            )
        self._prior = prior
        self.levels = _levels(prior, high, low, steps, spacing)  # ascending
        alpha_bar = prior.alpha_bar(self.levels)
        before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        betas = (1 - alpha_bar / before).clamp(1e-8, 1 - 1e-7)
        self.scheduler, self._predicts = respaced(template, betas.tolist())
        # At the end, the clean estimate is the result. Some solvers would leave the noise of the last level in it, or
        # extrapolate. Solvers that visit the last level twice end by themselves.
        self._visits = [float(k) for k in self.scheduler.timesteps]
        visits = self._visits
        self._last = visits[-1] if visits.count(visits[-1]) == 1 else None
        accepted = inspect.signature(self.scheduler.step).parameters
        self._extras: dict[str, Any] = {"eta": eta} if "eta" in accepted else {}
        self._takes_generator = "generator" in accepted
        variance_type = getattr(self.scheduler.config, "variance_type", "")
        self._learned_range = variance_type in ("learned_range", "learned")
        if self._learned_range and not prior.learned_variance:
            raise ConfigError(
                f"sampling.sampler: variance_type {variance_type!r} needs a prior that predicts variances, "
                f"and {prior.name!r} does not; use fixed_small or fixed_large"
            )
        self.from_pure_noise = high >= top
        self.full_steps = steps / max((high - low) / top, 1e-6)

    @property
    def visits(self) -> list[float]:
        """The scheduler's timesteps from noisy to clean; a second-order scheduler has some of them twice."""
        return list(self._visits)

    def prior_t(self, k: float) -> float:
        """The prior's timestep, possibly fractional, of the scheduler's timestep ``k``."""
        low = max(0, min(int(k), len(self.levels) - 1))
        if k <= low or low == len(self.levels) - 1:
            return float(self.levels[low])
        # Solvers with a step between two levels take it in the middle of the logarithm of the noise.
        alpha_bar = self._prior.alpha_bar(self.levels[low : low + 2])
        noise = ((1 - alpha_bar) / alpha_bar).sqrt().log()
        return float(self._prior.timestep(torch.lerp(noise[0], noise[1], k - low).exp()))

    def alpha_bar(self, k: float) -> float:
        """ᾱ at the scheduler's timestep ``k``."""
        return float(self._prior.alpha_bar(torch.tensor(self.prior_t(k), dtype=torch.float64)))

    @property
    def first(self) -> float:
        """The scheduler's first timestep."""
        return self._visits[0]

    def noisy(self, x0: Tensor | None, noise: Tensor, k: float) -> Tensor:
        """x_t at the scheduler's timestep ``k``: the clean image ``x0`` (B, 3, H, W) in [-1, 1] with unit-variance
        ``noise`` at that level; pure noise if ``x0`` is ``None``."""
        if x0 is None:
            return noise * float(self.scheduler.init_noise_sigma)
        return self.scheduler.add_noise(x0, noise, self._timestep(k)[None].expand(len(x0)))

    def input(self, x_t: Tensor, k: float) -> Tensor:
        """x_t on the variance-preserving scale that the prior expects."""
        return self.scheduler.scale_model_input(x_t, self._timestep(k))

    def step(
        self, x0: Tensor, k: float, x_t: Tensor, variance: Tensor | None, generators: list[torch.Generator]
    ) -> Tensor:
        """x_{t−1} from the guided clean estimate ``x0`` in [-1, 1]; fresh noise comes from the images' generators."""
        timestep, extras = self._timestep(k), dict(self._extras)
        if k == self._last:
            return x0.clone()
        if self._takes_generator:
            extras["generator"] = generators
        output = x0
        if self._predicts == "epsilon":
            alpha_bar = self.alpha_bar(k)
            output = (self.input(x_t, k) - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5
        if variance is not None and self._learned_range:
            output = torch.cat([output, variance], dim=1)
        return self.scheduler.step(output, timestep, x_t, **extras).prev_sample

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's memory, for a checkpoint: multistep solvers keep earlier estimates."""
        return {key: value for key, value in vars(self.scheduler).items() if _storable(value)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores this memory."""
        vars(self.scheduler).update(state)

    def _timestep(self, k: float) -> Any:
        nearest = min(range(len(self._visits)), key=lambda i: abs(self._visits[i] - k))
        return self.scheduler.timesteps[nearest]


def _levels(prior: VPPrior, high: float, low: float, steps: int, spacing: Spacing) -> Tensor:
    ends = torch.tensor([low, high], dtype=torch.float64)
    if steps == 1:
        return ends[1:]
    if spacing == "uniform":
        return torch.linspace(low, high, steps, dtype=torch.float64)
    alpha_bar = prior.alpha_bar(ends)
    noise = ((1 - alpha_bar) / alpha_bar).sqrt().log()
    return prior.timestep(torch.linspace(float(noise[0]), float(noise[1]), steps, dtype=torch.float64).exp())


def _storable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_storable(v) for v in value)
    return value is None or isinstance(value, (bool, int, float, str, Tensor))
