"""Toy-size fits: a method in one line, and callbacks that look or interfere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from helpers.moments import Blur, photos
from helpers.toys import ToyPrior
from zeroair_pl.degradations import Haze, LowLight, Neural, Noise
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.guidance import Adversarial, Fidelity, Likelihood, Perceptual, ResidualAdversarial, TotalVariation
from zeroair_pl.guidance.anchored import AnchoredUpdate
from zeroair_pl.guidance.stages import StageWeights, Term
from zeroair_pl.guidance.updates import GradientUpdate, GuidanceUpdate, ProximalUpdate
from zeroair_pl.method.restoration import Modelling, Restoration
from zeroair_pl.method.sampling import Guidance
from zeroair_pl.method.settings import Method, Sampling
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.base import Prior

FROM_NOISE: dict[str, Any] = {"start": 1.0, "end": 0.0, "spacing": "uniform"}


def method(
    family: Callable[[], Degradation] = Haze,
    prior: Prior | None = None,
    modelling: list[Term] | None = None,
    guidance: list[Term] | None = None,
    update: GuidanceUpdate | None = None,
    auxiliary: bool = False,
    seed: int = 0,
    lr: float = 1e-3,
    scheduler: Any = None,
    steps: int = 6,
    **sampling: Any,
) -> Method:
    """A likelihood in modelling, the proximal update, and sampling from pure noise, unless told otherwise."""
    return Method(
        family,
        prior or ToyPrior(),
        Modelling([Term(Likelihood())] if modelling is None else modelling, lr=lr),
        Guidance(guidance or [], update or ProximalUpdate(), auxiliary=auxiliary),
        Sampling(scheduler or DDIMScheduler(), steps, **{**FROM_NOISE, **sampling}),
        seed,
    )


def paper(family: Callable[[], Degradation], objective: Any = "bce", **settings: Any) -> Method:
    """The paper's arrangement: reconstruction, perceptual and GAN for φ, three stages, two maps, the gradient form."""
    return method(
        family,
        modelling=[
            Term(Fidelity("x0"), 0.2),
            Term(Perceptual(target="x0"), 0.5),
            Term(Adversarial(objective), 0.3),
        ],
        guidance=[
            Term(Fidelity(), StageWeights(2, 1, 1), ramp=True),
            Term(Perceptual(), StageWeights(II=1e-3, III=1e-3)),
            Term(ResidualAdversarial(objective), StageWeights(II=1e-4, III=1e-4)),
            Term(TotalVariation(), StageWeights(III=1e-4)),
        ],
        **{"update": GradientUpdate(25000), "auxiliary": True, **settings},
    )


def hazy(count: int = 2, height: int = 32, width: int = 32) -> Tensor:
    """Photos under even haze, with a little noise."""
    noise = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))
    return (0.5 * photos(count, height, width) + 0.4 + 0.01 * noise).clamp(0, 1)


class Watch(Callback):
    """Calls ``look(module)`` after every timestep, when the clean estimate is guided."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Restoration)
        self.seen.append(self.look(pl_module))


CASES: dict[str, Any] = {
    "haze": lambda: method(Haze, steps=5),
    "haze anchored": lambda: method(Haze, update=AnchoredUpdate(), steps=5),
    "low light": lambda: method(LowLight, scheduler=DDPMScheduler(), guidance=[Term(TotalVariation())], steps=5),
    "blur": lambda: method(Blur, guidance=[Term(Fidelity())], steps=5),
    "paper": lambda: paper(Neural, steps=4),
    "bundled prior": lambda: method(Noise, UNetPrior(), steps=3),
}
