"""Test-time degradation modelling (TDM): what one fit is, and its step at one timestep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Side
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.adversarial import Adversarial
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.discriminator import PatchDiscriminator, accuracy, discriminator_loss
from zeroair_pl.guidance.fidelity import Likelihood
from zeroair_pl.guidance.stages import Boundaries, Term
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.tensors.per_image import PerImage, build_per_image


@ranged("modelling")
@dataclass
class Modelling:
    """How the degradation model learns from the clean estimates.

    Args:
        terms: what φ minimizes, and its weight in each stage.
        lr: learning rate of Adam for the noise level; a family states its own for other parameters, in proportion.
        steps: optimizer steps on φ at each timestep. In a fit, a parameter moves by lr·steps·levels at most.
        penalty: weight of the family's own penalty.
    """

    terms: list[Term] = field(default_factory=lambda: [Term(Likelihood(), 1.0)])
    lr: Annotated[float, Range(0)] = 0.005
    steps: Annotated[int, Range(0)] = 1
    penalty: Annotated[float, Range(0)] = 1.0


class Restoration(LightningModule):
    """One fit: B degraded photos of one size, and for each of them a degradation model and its discriminators.

    A batch of the fit is one timestep. ``DiffusionSampling`` puts the clean estimates into ``state`` before the batch
    and guides them after it; ``training_step`` in between does test-time degradation modelling: each discriminator
    learns to tell real from fake, then φ minimizes the weighted terms. The clean estimate is a constant here. No
    reference image exists anywhere in a fit.

    Args:
        y: the photos, (B, 3, H, W) in [0, 1].
        names: one name for each photo; with the seed, it decides all random numbers of that photo.
        degradation: makes a fresh, untrained family member.
        modelling: what φ minimizes.
        guidance_losses: the losses of guidance; those that are adversarial get their discriminator here.
        boundaries: where the stages end.
        seed: the run's seed.
        sides: what came with each photo.
        looks: the prior as each photo's degradation may look through it at its start.

    Raises:
        DivergenceError: what each of them saw through the prior is not finite.

    Attributes:
        phi: the B degradation models.
        discriminators: the B discriminators of each adversarial loss, by the loss's name.
        finished: (B,) the photos whose result is final, or lost; their networks stay as they are, so that the maps that
            are reported are those of the result.
        lost: of photos whose fit has diverged, by their place in the group: what was seen. The others go on.
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
        sides: Sequence[Side] | None = None,
        looks: Sequence[Denoise] | None = None,
    ) -> None:
        super().__init__()
        if y.ndim != 4 or y.shape[1] != 3 or len(y) != len(names):
            raise ValueError(f"expected y of shape ({len(names)}, 3, H, W), got {tuple(y.shape)}")
        self.automatic_optimization = False
        self.names, self.modelling = names, modelling
        self.boundaries = boundaries or Boundaries()
        self.register_buffer("y", y, persistent=False)
        self.phi = build_per_image(degradation, names, seed, "degradation")
        lost: dict[int, str] = {}
        for i, phi in enumerate(self.phi):
            try:
                phi.initialize(y[i : i + 1], sides[i] if sides else {}, looks[i] if looks else _no_prior)
            except DivergenceError as error:
                lost[i] = str(error)
        losses = [term.loss for term in modelling.terms] + list(guidance_losses or [])
        self._adversarial: dict[str, Adversarial] = {
            loss.name: loss for loss in losses if isinstance(loss, Adversarial)
        }
        self.discriminators = nn.ModuleDict(
            {name: build_per_image(PatchDiscriminator, names, seed, name) for name in self._adversarial}
        )
        self._nothing = torch.zeros((), requires_grad=True)  # for an optimizer of families that learn by themselves
        self.state: GuidanceState | None = None
        self.finished = torch.zeros(len(names), dtype=torch.bool)
        self.lost: dict[int, str] = {}
        self.record: dict[str, Tensor] = {}
        for i, what in lost.items():
            self.lose(i, what)

    def stack(self) -> None:
        """Computes alike networks of the photos at once, in few operations: see ``PerImage.stack``."""
        if not any(type(phi).learn is not Degradation.learn for phi in self.phi):  # which may change what it likes
            self.phi.stack(
                self.y, ["noise_level", "penalty", "invert", "first_estimate", "observe", "result", "diagnostics"]
            )
        for network in self.discriminators.values():
            assert isinstance(network, PerImage)
            network.stack(self.y)

    def lose(self, i: int, what: str) -> None:
        """The fit of the i-th photo has diverged.

        Raises:
            DivergenceError: no photo is left.
        """
        self.lost.setdefault(i, f"{self.names[i]}: {what}")
        self.finished[i] = True
        if len(self.lost) == len(self.names):
            raise DivergenceError(self.lost[min(self.lost)], self.lost)

    def first_estimate(self) -> Tensor:
        """(B, 3, H, W) in [0, 1]: each family's own first clean image, where sampling may start."""
        with torch.no_grad():
            return self.phi.call("first_estimate", self.y)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lost"] = self.lost

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.lost = dict(checkpoint["lost"])
        self.finished[list(self.lost)] = True

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        groups = self.phi.parameter_groups(self.modelling.lr) or [{"params": [self._nothing]}]
        optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(groups, lr=0.0)]
        for name, loss in self._adversarial.items():
            optimizers.append(torch.optim.Adam(self.discriminators[name].parameters(), lr=loss.lr))
        return optimizers

    def training_step(self, batch: Any, batch_idx: int) -> None:
        if self.state is None:
            raise RuntimeError("no clean estimate: run this module with the DiffusionSampling callback")
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        self.record = {}
        self.record["noise_level"] = self.state.noise_level().detach()
        if bool(self.finished.all()):
            return
        terms = self._acting()
        for optimizer, (name, loss) in zip(optimizers[1:], self._adversarial.items(), strict=True):
            self._discriminate(optimizer, name, loss)
        self._learn(batch_idx)
        if terms and optimizers[0].param_groups[0]["params"][0] is not self._nothing:
            for _ in range(self.modelling.steps):
                self._model(optimizers[0], terms)
        for name, values in self.record.items():  # a finished photo takes no part
            self.record[name] = values.masked_fill(self.finished.to(values.device), torch.nan)
        self.record["noise_level"] = self.state.noise_level().detach()

    def _acting(self) -> list[tuple[Term, float]]:
        assert self.state is not None
        stage, fraction = self.state.stage, self.state.fraction
        weighted = [(term, term.weight_at(stage, fraction, self.boundaries)) for term in self.modelling.terms]  # type: ignore[arg-type]
        return [(term, weight) for term, weight in weighted if weight]

    def _discriminate(self, optimizer: Any, name: str, loss: Adversarial) -> None:
        assert self.state is not None
        with torch.no_grad():
            real, fake = loss.pairs(self.state.at(self.state.x0, self.state.x0_auxiliary))
        network = self.discriminators[name]
        assert isinstance(network, PerImage)
        on_real, on_fake = network(real), network(fake)
        images = len(self.y)
        values = discriminator_losses(on_real, on_fake, loss, images)
        # What is not reached has no gradient, and Adam leaves it alone.
        self._step(optimizer, network, values)
        self.record[f"{name}/discriminator"] = values.detach()
        self.record[f"{name}/accuracy"] = accuracy(on_real.detach()[:images], on_fake.detach()[:images])

    def _learn(self, level: int) -> None:
        """The learning steps that families take by themselves."""
        assert self.state is not None
        if self.phi.stacked and len(self.phi) > 1:
            return
        state, last = self.state, max(1, self.trainer.num_training_batches - 1)
        with torch.no_grad():
            for i, phi in enumerate(self.phi):
                if not self.finished[i]:
                    moment = Moment(float(state.noise[i]), float(state.x0_error[i]), level / last)
                    phi.learn(state.x0[i : i + 1], state.y[i : i + 1], moment)

    def _model(self, optimizer: Any, terms: list[tuple[Term, float]]) -> None:
        assert self.state is not None
        moment = self.state.at(self.state.x0, self.state.x0_auxiliary)
        total = self.modelling.penalty * self.phi.call("penalty")
        self.record["modelling/penalty"] = total.detach()
        for term, weight in terms:
            value = term.loss(moment)
            self.record[f"modelling/{term.name}"] = value.detach()
            total = total + weight * value
        if total.requires_grad:  # else no term reaches a parameter of φ, as with φ(x) = x and a plain fidelity
            self._step(optimizer, self.phi, total)

    def _step(self, optimizer: Any, networks: PerImage, losses: Tensor) -> None:
        """One step down the losses, (B,), of the photos that are not finished."""
        optimizer.zero_grad()
        open_ = ~self.finished.to(losses.device)
        # A sum, not a mean: each image's gradient must not depend on how many share the fit.
        self.manual_backward(losses[open_].sum(), inputs=networks.trained(self.finished))
        with networks.holding(self.finished):
            optimizer.step()


def _no_prior(y: Tensor, sigma: float) -> Tensor:
    raise RuntimeError("the degradation looks at its photo through the prior, and none was given")


def discriminator_losses(real: Tensor, fake: Tensor, loss: Adversarial, images: int) -> Tensor:
    """(B,): the discriminators' loss on B images, of which there may be one or two real or fake maps, (K·B, …)."""
    count = max(len(real), len(fake))
    real, fake = (maps if len(maps) == count else maps.repeat(count // images, 1, 1, 1) for maps in (real, fake))
    return discriminator_loss(real, fake, loss.objective).view(-1, images).mean(0)


__all__ = ["Modelling", "PerImage", "Restoration"]
