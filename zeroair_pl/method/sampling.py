"""Three-stage diffusion guidance (TDG): the callback that runs the sampler while the fit learns the degradation.

    start of a batch   x0 = prior.denoise(x, σ)               one batch is one noise level
    the batch          φ learns from x0 and y                 TDM, restoration.py
    end of the batch   x0' = guided x0;  x = next(x0', φ)     TDG

Nothing else changes x.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.stages import acting
from zeroair_pl.guidance.updates import Guided
from zeroair_pl.method.divergence import lose_not_finite, only_finite
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.settings import Guidance
from zeroair_pl.sampling.base import Sampler


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
        """x_T: the first noise maps of the photos."""
        module = _restoration(pl_module)
        self.sampler.start(module.y, module.phi, self.generators)
        if self._saved is not None:
            self.sampler.load_state_dict(self._saved)
            module.finished |= self.sampler.finished

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """x0 = E[x given x_t], one pass of the frozen prior; ``batch`` is the noise level of this timestep."""
        module, sampler = _restoration(pl_module), self.sampler
        sampler.finished = sampler.finished | module.finished
        estimates = only_finite(sampler.estimate(float(batch)), module, sampler.sigma, "the prior's clean estimate")
        x0, *auxiliary = estimates.split(len(module.y))
        fraction = sampler.fraction(float(batch))
        module.state = state = GuidanceState(
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
        numbers = {"noise": state.noise, "error of the clean estimate": state.x0_error}
        numbers["fraction"] = torch.full_like(state.noise, fraction)
        lose_not_finite(module, numbers, "the sampler's {}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """x0' = x0 guided by the losses of the stage; x_{t−1} = the sampler's step from x0'."""
        module = _restoration(pl_module)
        state = module.state
        assert state is not None
        if bool(module.finished.all()):
            return
        lose_not_finite(module, module.record, "{}")
        guided = self._guided(module, state)
        self.sampler.advance(guided, state, float(batch))
        module.finished = module.finished | self.sampler.finished
        auxiliary = guided.x0_auxiliary if guided.x0_auxiliary is not None else state.x0_auxiliary
        module.state = replace(state, x0=guided.x0, x0_auxiliary=auxiliary)

    def _guided(self, module: Restoration, state: GuidanceState) -> Guided:
        """Three-stage guidance. The estimates of finished photos stay as they are."""
        terms = acting(self.guidance.terms, state.stage, state.fraction, self.guidance.boundaries)
        seen = state if state.stage == "I" else replace(state, x0_auxiliary=None)  # only stage I guides both
        guided = self.update(seen, terms, round(self.sampler.full_steps))
        lose_not_finite(module, guided.losses or {}, "guidance/{}")
        for name, value in (guided.losses or {}).items():  # NaN for finished photos
            module.record[f"guidance/{name}"] = value.masked_fill(module.finished.to(value.device), torch.nan)
        for step in (guided.shift, guided.shift_auxiliary, guided.x0_auxiliary):
            if step is not None:
                only_finite(step, module, state.noise, "a step of the guidance")
        x0 = only_finite(guided.x0, module, state.noise, "the guided clean estimate")
        finished = module.finished.to(x0.device)[:, None, None, None]
        return guided._replace(x0=torch.where(finished, state.x0, x0))

    def state_dict(self) -> dict[str, Any]:
        return self.sampler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved = state_dict


def _restoration(module: LightningModule) -> Restoration:
    if not isinstance(module, Restoration):
        raise TypeError(f"DiffusionSampling guides a Restoration, got {type(module).__name__}")
    return module
