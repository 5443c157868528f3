"""Test-time degradation modeling (TDM): the module of one fit, and its training step at one timestep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, Moment, Side
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.adversarial import Adversarial
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.discriminator import PatchDiscriminator, accuracy, discriminator_loss
from zeroair_pl.guidance.stages import Term, acting
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.settings import Method
from zeroair_pl.method.starts import side_by_side, start_all
from zeroair_pl.tensors.per_image import PerImage, build_per_image


class Restoration(LightningModule):
    """One fit: B degraded photos of one size, each with its own degradation model and discriminators.

    A batch of the fit is one timestep. ``DiffusionSampling`` puts the clean estimates into ``state`` before the batch
    and guides them after it. Between these, ``training_step`` does test-time degradation modeling: each discriminator
    learns to distinguish real from fake, then φ minimizes the weighted terms. The clean estimate is a constant in this
    step. A fit has no reference image.

    Args:
        y: the photos, (B, 3, H, W) in [0, 1].
        names: one name for each photo; the seed and the name decide all random numbers of the photo.
        method: the settings. There is a discriminator for each adversarial loss of modeling or guidance.
        sides: the side information of each photo.

    Raises:
        ValueError: the shape of ``y`` is wrong, or the number of names.
        DivergenceError: for every photo, the prior's estimates in ``Degradation.initialize`` are not finite.

    Attributes:
        phi: the B degradation models.
        looks: for each photo the prior as it was used in ``Degradation.initialize``.
        discriminators: the B discriminators of each adversarial loss, by the loss's name.
        finished: (B,), whether the result of each photo is final, or its fit has diverged. The networks of a finished
            photo no longer change, so that the reported maps are those of the result.
        lost: why the fit of a photo has diverged, by the photo's index. The other photos continue.
        state: the current estimates, set by ``DiffusionSampling``.
        record: every loss term of the last batch, (B,) each, for loggers.
    """

    y: Tensor

    def __init__(self, y: Tensor, names: list[str], method: Method, sides: Sequence[Side] | None = None) -> None:
        super().__init__()
        if y.ndim != 4 or y.shape[1] != 3 or len(y) != len(names):
            raise ValueError(f"expected y of shape ({len(names)}, 3, H, W), got {tuple(y.shape)}")
        self.automatic_optimization = False
        self.names, self.modeling, self.boundaries = names, method.modeling, method.guidance.boundaries
        self.phi = build_per_image(method.fresh, names, method.seed, "degradation")
        self.looks = [FirstLook(method.prior) for _ in names]
        explained, lost = start_all(self.phi.each, y, sides or [], self.looks, side_by_side(method.prior.device))
        self.register_buffer("y", torch.cat(explained), persistent=False)
        losses = [term.loss for term in (*method.modeling.terms, *method.guidance.terms)]
        self._adversarial = {loss.name: loss for loss in losses if isinstance(loss, Adversarial)}
        self.discriminators = nn.ModuleDict(
            {name: build_per_image(PatchDiscriminator, names, method.seed, name) for name in self._adversarial}
        )
        self._nothing = torch.zeros((), requires_grad=True)  # for the optimizer if Adam learns nothing of φ
        self.state: GuidanceState | None = None
        self.finished = torch.zeros(len(names), dtype=torch.bool)
        self.lost: dict[int, str] = {}
        self.record: dict[str, Tensor] = {}
        for i, what in lost.items():
            self.lose(i, what)

    def stack(self) -> None:
        """Stacks the networks of the photos, so that they are computed together; see ``PerImage.stack``."""
        if not any(type(phi).learn is not Degradation.learn for phi in self.phi):  # ``learn`` may change any attribute
            methods = ["noise_level", "penalty", "invert", "first_estimate", "observe", "result", "diagnostics"]
            self.phi.stack(self.y, methods)
        for network in self.discriminators.values():
            assert isinstance(network, PerImage)
            network.stack(self.y)

    def lose(self, i: int, what: str) -> None:
        """Ends the fit of the i-th photo, which has diverged; ``what`` states the reason.

        Raises:
            DivergenceError: all photos have diverged.
        """
        self.lost.setdefault(i, f"{self.names[i]}: {what}")
        self.finished[i] = True
        if len(self.lost) == len(self.names):
            raise DivergenceError(self.lost[min(self.lost)], self.lost)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lost"] = self.lost

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.lost = dict(checkpoint["lost"])
        self.finished[list(self.lost)] = True

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        groups = self.phi.parameter_groups(self.modeling.lr) or [{"params": [self._nothing]}]
        optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(groups, lr=0.0)]
        for name, loss in self._adversarial.items():
            optimizers.append(torch.optim.Adam(self.discriminators[name].parameters(), lr=loss.lr))
        return optimizers

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """TDM at one timestep: one step on each discriminator, then ``Modeling.steps`` steps on φ."""
        if self.state is None:
            raise RuntimeError("no clean estimate: run this module with the DiffusionSampling callback")
        optimizers = self.optimizers()
        of_phi, *of_discriminators = optimizers if isinstance(optimizers, list) else [optimizers]
        self.record = {"noise_level": self.state.noise_level().detach()}
        if bool(self.finished.all()):
            return
        terms = acting(self.modeling.terms, self.state.stage, self.state.fraction, self.boundaries)
        for optimizer, (name, loss) in zip(of_discriminators, self._adversarial.items(), strict=True):
            self._learn_discriminator(optimizer, name, loss)
        self._learn_in_closed_form(batch_idx)
        if terms and of_phi.param_groups[0]["params"][0] is not self._nothing:
            for _ in range(self.modeling.steps):
                self._learn_phi(of_phi, terms)
        for name, values in self.record.items():  # NaN for finished photos
            self.record[name] = values.masked_fill(self.finished.to(values.device), torch.nan)
        self.record["noise_level"] = self.state.noise_level().detach()

    def _learn_discriminator(self, optimizer: Any, name: str, loss: Adversarial) -> None:
        """One step on D: to tell real from fake; the loss states which images these are."""
        assert self.state is not None
        with torch.no_grad():
            real, fake = loss.pairs(self.state.at(self.state.x0, self.state.x0_auxiliary))
        network = self.discriminators[name]
        assert isinstance(network, PerImage)
        on_real, on_fake = network(real), network(fake)
        images = len(self.y)
        values = discriminator_losses(on_real, on_fake, loss, images)
        # Parameters that the loss does not depend on have no gradient, and Adam does not change them.
        self._step(optimizer, network, values)
        self.record[f"{name}/discriminator"] = values.detach()
        self.record[f"{name}/accuracy"] = accuracy(on_real.detach()[:images], on_fake.detach()[:images])

    def _learn_in_closed_form(self, level: int) -> None:
        """Calls ``Degradation.learn`` for each photo that is not finished."""
        assert self.state is not None
        if self.phi.whole is not None:
            return
        state, last = self.state, max(1, self.trainer.num_training_batches - 1)
        with torch.no_grad():
            for i, phi in enumerate(self.phi):
                if not self.finished[i]:
                    moment = Moment(float(state.noise[i]), float(state.x0_error[i]), level / last)
                    phi.learn(state.x0[i : i + 1], state.y[i : i + 1], moment)

    def _learn_phi(self, optimizer: Any, terms: list[tuple[Term, float]]) -> None:
        """One step on φ: ∇φ Σ weight·loss(φ(x0), x0, y) + the family's penalty. x0 is a constant."""
        assert self.state is not None
        moment = self.state.at(self.state.x0, self.state.x0_auxiliary)
        total = self.modeling.penalty * self.phi.call("penalty")
        self.record["modeling/penalty"] = total.detach()
        for term, weight in terms:
            value = term.loss(moment)
            self.record[f"modeling/{term.name}"] = value.detach()
            total = total + weight * value
        if total.requires_grad:  # else no term depends on a parameter, as with φ(x) = x and a plain fidelity
            self._step(optimizer, self.phi, total)

    def _step(self, optimizer: Any, networks: PerImage, losses: Tensor) -> None:
        """One optimizer step on the losses, (B,), of the photos that are not finished."""
        optimizer.zero_grad()
        unfinished = ~self.finished.to(losses.device)
        # A sum, not a mean: the gradient of a photo must not depend on the number of photos.
        self.manual_backward(losses[unfinished].sum(), inputs=networks.trained(self.finished))
        with networks.holding(self.finished):
            optimizer.step()


def discriminator_losses(real: Tensor, fake: Tensor, loss: Adversarial, images: int) -> Tensor:
    """The discriminators' loss for B photos, (B,), from their maps (K·B, …) on one or two real or fake images each."""
    count = max(len(real), len(fake))
    real, fake = (maps if len(maps) == count else maps.repeat(count // images, 1, 1, 1) for maps in (real, fake))
    return discriminator_loss(real, fake, loss.objective).view(-1, images).mean(0)
