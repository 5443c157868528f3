"""The paper's sampler: a scheduler of diffusers steps between noise levels, with an auxiliary noise map if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import torch
from torch import Tensor

from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.updates import Guided
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.vp import vp_of
from zeroair_pl.ranges import Range
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.levels import check_levels
from zeroair_pl.sampling.schedule import Schedule, Spacing
from zeroair_pl.tensors.per_image import PerImage
from zeroair_pl.tensors.threads import all_threads

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin


class SchedulerSampler(Sampler):
    """x_{t−1} = scheduler.step(x0', t, x_t), from pure noise or from the first estimate with noise.

    For any φ. It runs on the prior's own VP schedule; a prior without one is put on the linear schedule.

    Args:
        scheduler: any diffusers scheduler that can be built on given betas; by default DDIM.
        spacing: of the levels: ``uniform`` in t, or ``log_snr``, in equal ratios of the noise.
        eta: share of fresh noise for a scheduler that has it (DDIM): 0 deterministic, 1 ancestral.
        auxiliary: also run the paper's second noise map. It is guided in stage I only, keeps φ from collapsing to the
            identity, and is not part of the result. It doubles the passes of the prior.
    """

    def __init__(
        self,
        scheduler: SchedulerMixin | None = None,
        spacing: Spacing = "uniform",
        eta: Annotated[float, Range(0, 1)] = 0.0,
        auxiliary: bool = False,
    ) -> None:
        self.scheduler, self.spacing, self.eta = scheduler, spacing, eta
        self.auxiliary, self.maps = auxiliary, 2 if auxiliary else 1

    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        check_levels(steps, sigma_max, sigma_min)
        self.prior, self.vp = prior, vp_of(prior)
        template = self.scheduler
        if template is None:
            from diffusers.schedulers.scheduling_ddim import DDIMScheduler

            template = DDIMScheduler()
        self.schedule = Schedule(template, self.vp, steps, sigma_max, sigma_min, self.spacing, self.eta)
        return self.schedule.visits

    def start(self, y: Tensor, phi: PerImage, generators: list[torch.Generator]) -> None:
        super().start(y, phi, generators)
        noise = torch.cat([self.randn() for _ in range(self.maps)])
        first = None
        if not self.schedule.from_pure_noise:
            with torch.no_grad():
                first = (phi.call("first_estimate", y) * 2 - 1).repeat(self.maps, 1, 1, 1)
        self.x_t = self.schedule.noisy(first, noise, self.schedule.first)
        self.variance: Tensor | None = None

    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        x_t, t = self.schedule.input(self.x_t, level), self._times(level)
        signal = self.vp.alpha_bar(t).sqrt().to(x_t)[:, None, None, None]
        return (x_t / signal + 1) / 2, self.vp.sigma(t)

    def estimate(self, level: float) -> Tensor:
        # On the scale of the schedule, since a prior may also predict variances.
        t = self._times(level)
        self.sigma = self.vp.sigma(t)[: len(self.y)].float()
        self.nfe[~self.finished] += self.maps
        with all_threads():
            x0, self.variance = self.vp.predict(self.schedule.input(self.x_t, level), t)
        return (x0 + 1) / 2

    def _times(self, level: float) -> Tensor:
        return torch.full((len(self.x_t),), self.schedule.prior_t(level), dtype=torch.float64)

    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        auxiliary = guided.x0_auxiliary if guided.x0_auxiliary is not None else state.x0_auxiliary
        x0 = guided.x0 if auxiliary is None else torch.cat([guided.x0, auxiliary])
        generators = self.generators * self.maps
        x_next = self.schedule.step((x0 * 2 - 1).clamp(-1, 1), level, self.x_t, self.variance, generators)
        for i, shift in enumerate((guided.shift, guided.shift_auxiliary)):
            if shift is not None:
                x_next[i * len(self.y) : (i + 1) * len(self.y)] += shift
        self.x_t = x_next

    @property
    def restored(self) -> Tensor:
        x = (self.x_t[: len(self.y)] + 1) / 2
        with torch.no_grad():
            found: Tensor = self.phi.call("result", x, x)
        return found.clamp(0, 1)

    @property
    def full_steps(self) -> float:
        return self.schedule.full_steps

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "scheduler": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.schedule.load_state_dict(state["scheduler"])
