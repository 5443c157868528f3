"""Three-stage diffusion guidance (TDG): the callback that advances the sampler while the fit learns the degradation.

    start of a batch   x0 = prior(x_t, t)
    the batch          TDM learns φ from x0 and y             (restoration.py)
    end of the batch   x0' = guided x0;  x_{t−1} = scheduler.step(x0', t, x_t)

Nothing else touches x_t.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl.guidance.anchored import AnchoredUpdate
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.stages import Boundaries, Term
from zeroair_pl.guidance.updates import Anchor, GradientUpdate, GuidanceUpdate, Guided, ProximalUpdate
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.priors.base import Prior
from zeroair_pl.sampling.matched import SHIFTS, Anchoring
from zeroair_pl.sampling.schedule import Schedule
from zeroair_pl.tensors.per_image import finite, randn
from zeroair_pl.tensors.threads import all_threads


@dataclass
class Guidance:
    """What moves the clean estimate, when, and how.

    Args:
        terms: the losses and their weights in the three stages.
        update: the form of the step.
        boundaries: where the stages end.
        auxiliary: run the paper's second noise map too. It is guided in stage I alone, keeps φ from collapsing to the
            identity, and is thrown away at the end. Doubles the prior's work.
    """

    terms: list[Term] = field(default_factory=list)
    update: GuidanceUpdate = field(default_factory=AnchoredUpdate)
    boundaries: Boundaries = field(default_factory=Boundaries)
    auxiliary: bool = False

    def acting(self, stage: str, fraction: float) -> list[tuple[Term, float]]:
        """The terms with a non-zero weight at this noise level."""
        weighted = [(term, term.weight_at(stage, fraction, self.boundaries)) for term in self.terms]  # type: ignore[arg-type]
        return [(term, weight) for term, weight in weighted if weight]


class DiffusionSampling(Callback):
    """Predicts before the batch, guides and steps after it.

    Args:
        prior: the frozen prior.
        schedule: the noise levels and the scheduler that steps between them.
        guidance: what moves the clean estimate.
        generators: one random generator for each image of the group.

    Attributes:
        x_t: the noisy images, (B, 3, H, W); (2B, 3, H, W) with auxiliary maps, which come last.
        forwards: (B,) prior forward passes for each image so far (NFE).
    """

    def __init__(self, prior: Prior, schedule: Schedule, guidance: Guidance, generators: list[torch.Generator]) -> None:
        self.prior, self.schedule, self.guidance, self.generators = prior, schedule, guidance, generators
        self.x_t: Tensor | None = None
        self.forwards = torch.zeros(len(generators), dtype=torch.long)
        self._variance: Tensor | None = None
        self.anchored = False
        self.anchoring = Anchoring(prior, schedule, len(generators), guidance.update.posterior_mean)

    @property
    def restored(self) -> Tensor:
        """The guided maps at the end of the schedule, (B, 3, H, W) in [0, 1]."""
        assert self.x_t is not None, "nothing was sampled yet"
        return (self.x_t[: len(self.generators)] + 1).clamp(0, 2) / 2

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _restoration(pl_module)
        if self.x_t is not None:  # restored from a checkpoint
            module.finished |= self.anchoring.finished
            return
        maps = 2 if self.guidance.auxiliary else 1
        noise = torch.cat([self._randn(module) for _ in range(maps)])
        first = None if self.schedule.start >= 1 else (module.first_estimate() * 2 - 1).repeat(maps, 1, 1, 1)
        self.x_t = self.schedule.noisy(first, noise, self.schedule.first)
        anchor = self.guidance.update.anchor(module.y, module.phi)
        if anchor is not None:
            self._draw(anchor, self.schedule.first, noise[: len(module.y)])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        module, k = _restoration(pl_module), float(batch)
        assert self.x_t is not None
        t = self.schedule.prior_t(k)
        estimates = self._predict(module, k, t)
        fraction = t / (self.prior.num_timesteps - 1)
        module.state = GuidanceState(
            y=module.y,
            x0=estimates[0],
            y_hat=estimates[0],  # φ is applied by those who need it: it changes within the batch
            t=t,
            fraction=fraction,
            stage=self.guidance.boundaries.stage(fraction),
            noise=self.anchoring.levels.to(module.y),
            x0_error=self.anchoring.error(estimates[0]),
            degradation=module.phi,
            discriminators=dict(module.discriminators.items()),  # type: ignore[arg-type]
            x0_auxiliary=estimates[1] if len(estimates) > 1 else None,
            prior=self.prior,
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        module, k = _restoration(pl_module), float(batch)
        state, x_t = module.state, self.x_t
        assert state is not None
        assert x_t is not None
        if bool(module.finished.all()) and self.anchoring.settled is not None and state.x0_auxiliary is None:
            self.x_t = (state.x0 * 2 - 1).clamp(-1, 1)  # the result, at whatever step it is asked for
            return
        terms = self.guidance.acting(state.stage, state.fraction)
        seen = state if state.stage == "I" else replace(state, x0_auxiliary=None, y_hat_auxiliary=None)
        steps = round(self.schedule.full_steps)
        guided = Guided.join([self.guidance.update(part, terms, steps) for part in seen.parts()], seen.rows)
        for name, value in (guided.losses or {}).items():  # a finished photo takes no part, whether others go on or not
            module.record[f"guidance/{name}"] = value.masked_fill(module.finished.to(value.device), torch.nan)
        guided = guided._replace(x0=self.anchoring.settle(guided.x0))
        module.finished = module.finished | self.anchoring.finished
        auxiliary = guided.x0_auxiliary if guided.x0_auxiliary is not None else state.x0_auxiliary
        x0 = guided.x0 if auxiliary is None else torch.cat([guided.x0, auxiliary])
        x0 = _finite(x0, module, state.t, "the guided clean estimate")
        generators = self.generators * (len(x0) // len(self.generators))
        x_next = self.schedule.step((x0 * 2 - 1).clamp(-1, 1), k, x_t, self._variance, generators)
        for i, shift in enumerate((guided.shift, guided.shift_auxiliary)):
            if shift is not None:
                x_next[i * len(module.y) : (i + 1) * len(module.y)] += shift
        self.x_t = x_next
        following = self.schedule.after(k)
        if guided.anchor is not None and following is not None:
            self._draw(guided.anchor, following, self._randn(module))
        module.state = replace(state, x0=x0[: len(module.y)], x0_auxiliary=auxiliary)

    def _predict(self, module: Restoration, k: float, t: float) -> tuple[Tensor, ...]:
        """The prior's clean estimates of the guided and, where there is one, the auxiliary map, in [0, 1]."""
        assert self.x_t is not None
        images, maps = len(module.y), len(self.x_t) // len(module.y)
        # Of a finished photo, or a lost one, nothing is left to learn from another look.
        rows = torch.cat([(~module.finished).nonzero()[:, 0] + i * images for i in range(maps)])
        known = module.y if self.anchoring.settled is None else self.anchoring.settled
        if not len(rows):
            return (known,) * maps
        times = torch.full((len(self.x_t),), t, dtype=torch.float64)
        x_t = self.schedule.input(self.x_t, k)
        if self.anchored:
            own, own_times = self.anchoring.seen(x_t[:images], times[:images])
            x_t, times = torch.cat([own, x_t[images:]]), torch.cat([own_times, times[images:]])
        else:
            self.anchoring.levels = torch.full((images,), self.schedule.noise(k))
        with all_threads():
            x0, variance = self.prior.predict(_chosen(x_t, rows), times[rows])
        self.forwards[~module.finished] += maps
        last = self.anchoring.matched[rows[: len(rows) // maps]].nonzero()[:, 0]
        if len(last):
            own = rows[last]
            again = self.anchoring.look_again(_chosen(x0, last), _chosen(x_t, own), times[own])
            x0 = _placed(again, x0, last)
            self.forwards[own] += len(SHIFTS)
        self._variance = None if variance is None else _placed(variance, torch.zeros_like(x_t), rows)
        x0 = (x0 + 1) / 2
        if len(rows) < len(x_t):
            x0 = _placed(x0, known.repeat(maps, 1, 1, 1), rows)
        return _finite(x0, module, t, "the prior's clean estimate").split(images)

    def _draw(self, anchor: Anchor, k: float, noise: Tensor) -> None:
        """x_t at ``k`` from the photo, where it is anchored there."""
        assert self.x_t is not None
        images = len(self.generators)
        self.anchored = True
        self.x_t = torch.cat([self.anchoring.draw(anchor, k, noise, self.x_t[:images]), self.x_t[images:]])

    def _randn(self, module: Restoration) -> Tensor:
        return randn(tuple(module.y.shape[1:]), self.generators, module.device)

    def state_dict(self) -> dict[str, Any]:
        return {
            "x_t": self.x_t,
            "forwards": self.forwards.clone(),
            "anchored": self.anchored,
            "anchoring": self.anchoring.state_dict(),
            "generators": [g.get_state() for g in self.generators],
            "scheduler": self.schedule.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.x_t, self.forwards = state_dict["x_t"], state_dict["forwards"]
        self.anchored = state_dict["anchored"]
        self.anchoring.load_state_dict(state_dict["anchoring"])
        self.schedule.load_state_dict(state_dict["scheduler"])
        for generator, saved in zip(self.generators, state_dict["generators"], strict=True):
            generator.set_state(saved)


__all__ = ["AnchoredUpdate", "DiffusionSampling", "GradientUpdate", "Guidance", "ProximalUpdate"]


def _restoration(module: LightningModule) -> Restoration:
    if not isinstance(module, Restoration):
        raise TypeError(f"DiffusionSampling works on a Restoration, got {type(module).__name__}")
    return module


def _finite(x: Tensor, module: Restoration, t: float, what: str) -> Tensor:
    """Estimates (K·B, 3, H, W) as they are; those of a photo that is lost, now or before, have the photo's own values.

    Raises:
        DivergenceError: all photos are lost.
    """
    good = finite(x).view(-1, len(module.y)).all(0).cpu()
    for i in (~good).nonzero()[:, 0].tolist():
        module.lose(i, f"the fit diverged, {what} is not finite at t = {t:.0f}")
    for i in module.lost:
        x[i :: len(module.y)] = module.y[i]
    return x


def _chosen(x: Tensor, rows: Tensor) -> Tensor:
    return x if len(rows) == len(x) else x[rows.to(x.device)]


def _placed(values: Tensor, x: Tensor, rows: Tensor) -> Tensor:
    """``x`` with ``values`` in these rows."""
    return values if len(rows) == len(x) else x.index_copy(0, rows.to(x.device), values)
