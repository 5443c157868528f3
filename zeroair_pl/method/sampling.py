"""Three-stage diffusion guidance (TDG): the callback that runs the sampler while the fit learns the degradation.

    start of a batch   x0 = prior.denoise(x, σ)               one batch is one noise level
    the batch          φ learns from x0 and y                 TDM, restoration.py
    end of the batch   x0' = guided x0;  x = next(x0', φ)     TDG

Nothing else changes x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.stages import Boundaries, Term
from zeroair_pl.guidance.updates import GuidanceUpdate
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.soundness import not_finite
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.tensors.per_image import finite


@dataclass
class Guidance:
    """How the clean estimate is guided.

    Args:
        terms: the losses and their weights in the three stages.
        update: the form of the step; by default the one that the sampler needs.
        boundaries: where the stages end.
    """

    terms: list[Term] = field(default_factory=list)
    update: GuidanceUpdate | None = None
    boundaries: Boundaries = field(default_factory=Boundaries)

    def acting(self, stage: str, fraction: float) -> list[tuple[Term, float]]:
        """The terms with a non-zero weight at this noise level."""
        weighted = [(term, term.weight_at(stage, fraction, self.boundaries)) for term in self.terms]  # type: ignore[arg-type]
        return [(term, weight) for term, weight in weighted if weight]


class DiffusionSampling(Callback):
    """Calls the prior before each batch; guides the clean estimate and advances the sampler after it.

    Args:
        sampler: a prepared sampler that no other fit uses.
        guidance: how the clean estimate is guided.
        generators: one random generator for each photo of the group.
    """

    def __init__(self, sampler: Sampler, guidance: Guidance, generators: list[torch.Generator]) -> None:
        self.sampler, self.guidance, self.generators = sampler, guidance, generators
        self.update = guidance.update or sampler.update()
        self._saved: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _restoration(pl_module)
        self.sampler.start(module.y, module.phi, self.generators)
        if self._saved is not None:
            self.sampler.load_state_dict(self._saved)
            module.finished |= self.sampler.finished

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        module, sampler = _restoration(pl_module), self.sampler
        sampler.finished = sampler.finished | module.finished
        estimates = _finite(sampler.estimate(float(batch)), module, sampler.sigma, "the prior's clean estimate")
        x0, *auxiliary = estimates.split(len(module.y))
        fraction = sampler.fraction(float(batch))
        module.state = GuidanceState(
            y=module.y,
            x0=x0,
            fraction=fraction,
            stage=self.guidance.boundaries.stage(fraction),
            noise=sampler.sigma.to(module.y),
            x0_error=sampler.error(x0),
            degradation=module.phi,
            discriminators=dict(module.discriminators.items()),  # type: ignore[arg-type]
            x0_auxiliary=auxiliary[0] if auxiliary else None,
            prior=sampler.prior,
        )
        every = module.state.noise.new_full(module.state.noise.shape, fraction)
        numbers = {"noise": module.state.noise, "error of the clean estimate": module.state.x0_error, "fraction": every}
        _lose(module, numbers, "the sampler's {}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        module = _restoration(pl_module)
        state = module.state
        assert state is not None
        if bool(module.finished.all()):
            return
        _lose(module, module.record, "{}")
        terms = self.guidance.acting(state.stage, state.fraction)
        seen = state if state.stage == "I" else replace(state, x0_auxiliary=None)  # only stage I guides both
        guided = self.update(seen, terms, round(self.sampler.full_steps))
        _lose(module, guided.losses or {}, "guidance/{}")
        for name, value in (guided.losses or {}).items():  # NaN for finished photos
            module.record[f"guidance/{name}"] = value.masked_fill(module.finished.to(value.device), torch.nan)
        shifts = [each for each in (guided.shift, guided.shift_auxiliary, guided.x0_auxiliary) if each is not None]
        for each in shifts:
            _finite(each, module, state.noise, "a step of the guidance")
        x0 = _finite(guided.x0, module, state.noise, "the guided clean estimate")
        done = module.finished.to(x0.device)[:, None, None, None]
        guided = guided._replace(x0=torch.where(done, state.x0, x0))
        self.sampler.advance(guided, state, float(batch))
        module.finished = module.finished | self.sampler.finished
        auxiliary = guided.x0_auxiliary if guided.x0_auxiliary is not None else state.x0_auxiliary
        module.state = replace(state, x0=guided.x0, x0_auxiliary=auxiliary)

    def state_dict(self) -> dict[str, Any]:
        return self.sampler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved = state_dict


def _restoration(module: LightningModule) -> Restoration:
    if not isinstance(module, Restoration):
        raise TypeError(f"DiffusionSampling guides a Restoration, got {type(module).__name__}")
    return module


def _lose(module: Restoration, values: Mapping[str, Tensor], what: str) -> None:
    """Ends the fit of each photo for which one of the ``values``, (B,) each, is not finite.

    Raises:
        DivergenceError: all photos have diverged.
    """
    assert module.state is not None
    for i, name in not_finite(values, ~module.finished).items():
        module.lose(i, f"the fit diverged, {what.format(name)} is not finite at σ = {float(module.state.noise[i]):.3g}")


def _finite(x: Tensor, module: Restoration, sigma: Tensor, what: str) -> Tensor:
    """Ends the fits whose estimates ``x`` (K·B, 3, H, W) are not finite, and replaces estimates of diverged photos.

    The photo itself takes the place of its estimate.

    Raises:
        DivergenceError: all photos have diverged.
    """
    good = finite(x).view(-1, len(module.y)).all(0).cpu()
    for i in (~good).nonzero()[:, 0].tolist():
        module.lose(i, f"the fit diverged, {what} is not finite at σ = {float(sigma[i]):.3g}")
    if not module.lost:
        return x
    x = x.clone()
    for i in module.lost:
        x[i :: len(module.y)] = as_large_as(module.y[i], (x.shape[-2], x.shape[-1]))
    return x
