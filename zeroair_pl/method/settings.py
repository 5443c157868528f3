"""What decides how a photo is restored, and what comes out: the data that is handed around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.method.restoration import Modelling
from zeroair_pl.method.sampling import Guidance
from zeroair_pl.priors.base import Prior
from zeroair_pl.sampling.schedule import Spacing

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin


def _ddim() -> SchedulerMixin:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler()


@dataclass
class Sampling:
    """Which noise levels are visited, and by which scheduler; see ``Schedule``.

    By default from the noise of a heavily degraded photo down to that of a clean one, in equal ratios.

    Args:
        scheduler: any diffusers scheduler that can be built on given betas.
        steps: timesteps, and so prior forward passes of each noise map.
        start: first noise level, as a fraction of the prior's schedule: 1 starts from pure noise, less starts from the
            family's first estimate with noise at that level.
        end: last noise level; the guided clean estimate there is the result. Above 0 it is nearer to the mean of all
            plausible photos (fidelity) than to one of them (texture).
        spacing: of the levels in between.
        eta: share of fresh noise in DDIM, 0 to 1.
        working_pixels: a larger photo is solved at about so many pixels, and sees the prior at full size only over the
            levels of its own noise; see ``large``. With an update other than ``AnchoredUpdate`` for posterior means, or
            a family that is not pointwise, all is done at full size.
    """

    scheduler: SchedulerMixin = field(default_factory=_ddim)
    steps: int = 16
    start: float = 0.15
    end: float = 0.003
    spacing: Spacing = "log_snr"
    eta: float = 0.0
    working_pixels: int = 1_500_000


@dataclass
class Method:
    """Everything that decides how a photo is restored."""

    degradation: Callable[[], Degradation]
    prior: Prior
    modelling: Modelling = field(default_factory=Modelling)
    guidance: Guidance = field(default_factory=Guidance)
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0


@dataclass
class Result:
    """The outcome of one fit of B photos.

    Attributes:
        restored: (B, 3, H, W) in [0, 1], on the CPU.
        maps: for each photo, the maps and numbers of its degradation, (1, C, H, W) or (1, C, 1, 1).
        noise_level: (B,) learned σ.
        forwards: for each photo, forward passes of the prior.
        seconds: wall-clock time of the fit.
        phi: the degradation models, on the CPU.
        lost: of photos that have no result, by their place: how their fit has diverged.
    """

    restored: Tensor
    maps: list[dict[str, Tensor]]
    noise_level: Tensor
    forwards: list[int]
    seconds: float
    phi: list[Degradation] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)

    def of(self, i: int) -> Result:
        """What concerns the i-th photo alone, with its share of the time."""
        seconds = self.seconds / len(self.restored)
        own, sigma = self.restored[i : i + 1], self.noise_level[i : i + 1]
        return Result(own, [self.maps[i]], sigma, [self.forwards[i]], seconds, [self.phi[i]])
