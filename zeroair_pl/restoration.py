"""Test-time degradation modelling (TDM): what one fit is, and its step at one timestep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.discriminator import PatchDiscriminator, accuracy, discriminator_loss
from zeroair_pl.guidance.adversarial import Adversarial
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.per_image import PerImage, build_per_image
from zeroair_pl.stages import Boundaries, Term


@dataclass
class Modelling:
    """How the degradation model learns from the clean estimates.

    Args:
        terms: what φ minimises, and its weight in each stage.
        lr: learning rate of φ's Adam.
        steps: optimiser steps on φ at each timestep.
        regularisation: weight of the family's own regularisation.
    """

    terms: list[Term] = field(default_factory=list)
    lr: float = 1e-3
    steps: int = 1
    regularisation: float = 1.0


class Restoration(LightningModule):
    """One fit: B degraded photos of one size, and for each of them a degradation model and its discriminators.

    A batch of the fit is one timestep. ``DiffusionSampling`` puts the clean estimates into ``state`` before the batch
    and guides them after it; ``training_step`` in between does test-time degradation modelling: each discriminator
    learns to tell real from fake, then φ minimises the weighted terms. The clean estimate is a constant here. No
    reference image exists anywhere in a fit.

    Args:
        y: the photos, (B, 3, H, W) in [0, 1].
        names: one name for each photo; with the seed, it decides all random numbers of that photo.
        degradation: makes a fresh, untrained family member.
        modelling: what φ minimises.
        guidance_losses: the losses of guidance; those that are adversarial get their discriminator here.
        boundaries: where the stages end.
        seed: the run's seed.

    Attributes:
        phi: the B degradation models.
        discriminators: the B discriminators of each adversarial loss, by the loss's name.
        finished: (B,) the photos whose result is final; their networks stay as they are, so that the maps that are
            reported are those of the result.
        state: the present moment, set by ``DiffusionSampling``.
        record: every loss term of the last batch, (B,) each, for whoever logs.
    """

    y: Tensor

    def __init__(
        self,
        y: Tensor,
        names: list[str],
        degradation: Callable[[], Degradation],
        modelling: Modelling,
        guidance_losses: list[nn.Module] | None = None,
        boundaries: Boundaries | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if y.ndim != 4 or y.shape[1] != 3 or len(y) != len(names):
            raise ValueError(f"expected y of shape ({len(names)}, 3, H, W), got {tuple(y.shape)}")
        self.automatic_optimization = False
        self.names, self.modelling = names, modelling
        self.boundaries = boundaries or Boundaries()
        self.register_buffer("y", y, persistent=False)
        self.phi = build_per_image(degradation, names, seed, "degradation")
        for i, phi in enumerate(self.phi):
            phi.initialise(y[i : i + 1])
        losses = [term.loss for term in modelling.terms] + list(guidance_losses or [])
        self._adversarial: dict[str, Adversarial] = {
            loss.name: loss for loss in losses if isinstance(loss, Adversarial)
        }
        self.discriminators = nn.ModuleDict(
            {name: build_per_image(PatchDiscriminator, names, seed, name) for name in self._adversarial}
        )
        self.state: GuidanceState | None = None
        self.finished = torch.zeros(len(names), dtype=torch.bool)
        self.record: dict[str, Tensor] = {}

    def first_estimate(self) -> Tensor:
        """(B, 3, H, W) in [0, 1]: each family's own first clean image, where sampling may start."""
        with torch.no_grad():
            return torch.cat([phi.first_estimate(self.y[i : i + 1]) for i, phi in enumerate(self.phi)])

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(self.phi.parameters(), lr=self.modelling.lr)]
        for name, loss in self._adversarial.items():
            optimisers.append(torch.optim.Adam(self.discriminators[name].parameters(), lr=loss.lr))
        return optimisers

    def training_step(self, batch: Any, batch_idx: int) -> None:
        if self.state is None:
            raise RuntimeError("no clean estimate: run this module with the DiffusionSampling callback")
        optimisers = self.optimizers()
        optimisers = optimisers if isinstance(optimisers, list) else [optimisers]
        self.record = {}
        self.record["noise_level"] = self.state.noise_level().detach()
        if bool(self.finished.all()):
            return
        terms = self._acting()
        for optimiser, (name, loss) in zip(optimisers[1:], self._adversarial.items(), strict=True):
            self._discriminate(optimiser, name, loss)
        if terms:
            for _ in range(self.modelling.steps):
                self._model(optimisers[0], terms)
        self.record["noise_level"] = self.state.noise_level().detach()

    def _acting(self) -> list[tuple[Term, float]]:
        assert self.state is not None
        stage, fraction = self.state.stage, self.state.fraction
        weighted = [(term, term.weight_at(stage, fraction, self.boundaries)) for term in self.modelling.terms]  # type: ignore[arg-type]
        return [(term, weight) for term, weight in weighted if weight]

    def _discriminate(self, optimiser: Any, name: str, loss: Adversarial) -> None:
        assert self.state is not None
        each, right = [], []
        for one in self.state.images():
            with torch.no_grad():
                real, fake = loss.pairs(one.at(one.x0, one.x0_auxiliary))
            on_real, on_fake = one.discriminators[name](real), one.discriminators[name](fake)
            each.append(discriminator_loss_of_maps(on_real, on_fake, loss))
            right.append(accuracy(on_real.detach()[:1], on_fake.detach()[:1]))
        optimiser.zero_grad()
        # What is not reached has no gradient, and Adam leaves it alone.
        self.manual_backward(torch.stack(each)[~self.finished].sum())
        optimiser.step()
        self.record[f"{name}/discriminator"] = torch.stack(each).detach()
        self.record[f"{name}/accuracy"] = torch.cat(right)

    def _model(self, optimiser: Any, terms: list[tuple[Term, float]]) -> None:
        assert self.state is not None
        moments = [one.at(one.x0, one.x0_auxiliary) for one in self.state.images()]
        total = self.modelling.regularisation * torch.stack([phi.regularisation() for phi in self.phi])
        self.record["modelling/regularisation"] = total.detach()
        for term, weight in terms:
            value = torch.cat([term.loss(one) for one in moments])
            self.record[f"modelling/{term.name}"] = value.detach()
            total = total + weight * value
        if not total.requires_grad:  # no term reaches a parameter of φ, as with φ(x) = x and a plain fidelity
            return
        optimiser.zero_grad()
        # A sum, not a mean: each image's gradient must not depend on how many share the fit.
        active = [phi for phi, done in zip(self.phi, self.finished.tolist(), strict=True) if not done]
        inputs = [p for phi in active for p in phi.parameters() if p.requires_grad]
        self.manual_backward(total[~self.finished].sum(), inputs=inputs)
        optimiser.step()


def discriminator_loss_of_maps(real: Tensor, fake: Tensor, loss: Adversarial) -> Tensor:
    """A scalar: the discriminator's loss on one image, of which there may be one or two real or fake maps."""
    count = max(len(real), len(fake))
    return discriminator_loss(real.expand(count, -1, -1, -1), fake.expand(count, -1, -1, -1), loss.objective).mean()


__all__ = ["Modelling", "PerImage", "Restoration"]
