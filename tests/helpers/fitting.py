"""Toy-size fits: a method in one line, and callbacks that look or interfere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from helpers.moments import ToyBlur, photos
from helpers.toys import ToyPrior
from zeroair_pl.degradations import Haze, LowLight, Neural, Noise
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.guidance import Adversarial, Fidelity, Likelihood, Perceptual, ResidualAdversarial, TotalVariation
from zeroair_pl.guidance.stages import StageWeights, Term
from zeroair_pl.guidance.updates import GradientUpdate, GuidanceUpdate
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.settings import Guidance, Method, Modeling, Sampling
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.base import Prior
from zeroair_pl.sampling import NoiseMatchedSampler, Sampler, SchedulerSampler

FROM_NOISE: dict[str, Any] = {"start": 1.0, "end": 0.0, "spacing": "uniform"}


def method(
    family: Callable[[], Degradation] = Haze,
    prior: Prior | None = None,
    modeling: list[Term] | None = None,
    guidance: list[Term] | None = None,
    update: GuidanceUpdate | None = None,
    auxiliary: bool = False,
    seed: int = 0,
    lr: float = 1e-3,
    scheduler: Any = None,
    steps: int = 6,
    sampler: Sampler | None = None,
    sigma_max: float | None = None,
    sigma_min: float = 0.0,
    spacing: Any = "uniform",
) -> Method:
    """A method with a likelihood in modeling, and DDIM from pure noise with the proximal update, by default."""
    sampler = sampler or SchedulerSampler(scheduler, spacing, auxiliary=auxiliary)
    return Method(
        family,
        prior or ToyPrior(),
        Modeling([Term(Likelihood())] if modeling is None else modeling, lr=lr),
        Guidance(guidance or [], update),
        Sampling(steps, sigma_max, sigma_min, sampler),
        seed,
    )


def matched(family: Callable[[], Degradation] = Haze, posterior_mean: bool = True, **settings: Any) -> Method:
    """As ``method``, with noise-matched sampling from 0.26."""
    levels = {"sampler": NoiseMatchedSampler(posterior_mean), "sigma_max": 0.26, "sigma_min": 0.0114}
    return method(family, **{**levels, **settings})


def paper(family: Callable[[], Degradation], objective: Any = "bce", **settings: Any) -> Method:
    """The paper's arrangement: reconstruction, perceptual and GAN for φ, three stages, two maps, the gradient form."""
    return method(
        family,
        modeling=[Term(Fidelity("x0"), 0.2), Term(Perceptual(target="x0"), 0.5), Term(Adversarial(objective), 0.3)],
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
    """Calls ``look(module)`` after every timestep, when guidance has changed the clean estimate."""

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
    "haze matched": lambda: matched(Haze, steps=5),
    "low light": lambda: method(LowLight, scheduler=DDPMScheduler(), guidance=[Term(TotalVariation())], steps=5),
    "blur": lambda: method(ToyBlur, guidance=[Term(Fidelity())], steps=5),
    "paper": lambda: paper(Neural, steps=4),
    "bundled prior": lambda: method(Noise, UNetPrior(), steps=3),
}
