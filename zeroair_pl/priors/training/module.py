"""The training step of a prior, and the measurement of its denoising at each noise level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from zeroair_pl.errors import DivergenceError
from zeroair_pl.priors.base import Calibration
from zeroair_pl.priors.network import DenoisingUNet
from zeroair_pl.priors.training.keeping import Keeping
from zeroair_pl.priors.training.muon import Muon
from zeroair_pl.priors.vp import Prediction, VPPrior
from zeroair_pl.ranges import Range, ranged

# Noise on a clean image, in units of [-1, 1]: 1/255 of the [0, 1] range is 2/255 here.
LEVELS = (0.01, 0.02, 0.0392, 0.0784, 0.1176, 0.196, 0.392, 0.784, 1.569, 5.0, 15.0, 60.0, 150.0)
LOWEST, HIGHEST = 0.01, 150.0  # the ends of the linear schedule
USUAL_LOWEST, USUAL_HIGHEST = 0.01, 2.0  # where restoration works
BINS = 16
KEPT = 3.0  # weight of an old answer, relative to a denoised crop


@ranged("optimization")
@dataclass
class Optimization:
    """The settings of the optimization.

    Args:
        steps: number of optimizer steps.
        lr: largest learning rate.
        warmup: number of steps in which the learning rate rises from zero.
        decay: share of the steps, at the end, in which the learning rate falls to zero. Before that, a training can be
            extended.
        average: decay of the exponential moving average of the weights; the averaged weights are measured and written.
        optimizer: ``adamw`` or ``muon``; with batches of 8 crops of 128 px a step of Muon takes 29 % longer on a CPU.
        weight_decay: of the weights.
        clip: largest norm of the gradient.
        kept: share of the crops of a step on which the network has to answer as the prior that it began with, while the
            learning rate falls: images like those in the middle of a restoration. Use 0.25 to train a prior on; it
            needs ``start``.
        restoring: share of the crops with the noise levels of restoration, 0.01 to 2 in units of [-1, 1]; the others
            have any level. Choose a smaller share for a prior that draws whole pictures.
        validate_every: number of steps between two measurements; each ends an epoch, and a training resumes at the last
            one.
    """

    steps: Annotated[int, Range(1)] = 15000
    lr: Annotated[float, Range(0, 10, above=True)] = 1e-3
    warmup: Annotated[int, Range(0)] = 200
    decay: Annotated[float, Range(0, 1)] = 0.3
    average: Annotated[float, Range(0, 0.999999)] = 0.999
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: Annotated[float, Range(0)] = 1e-4
    clip: Annotated[float, Range(0, above=True)] = 1.0
    kept: Annotated[float, Range(0, 0.9)] = 0.0
    restoring: Annotated[float, Range(0, 1)] = 0.75
    validate_every: Annotated[int, Range(1)] = 500


class NetworkPrior(VPPrior):
    """A network in training behind the contract of a prior, v-prediction on the given schedule."""

    def __init__(self, network: DenoisingUNet, alphas_cumprod: Tensor, name: str) -> None:
        self.network, self.alphas_cumprod, self.name = network, alphas_cumprod.double().cpu(), name
        self.calibration = Calibration()

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
        with torch.no_grad():
            v = self.network(x_t.contiguous(memory_format=torch.channels_last), t.to(x_t)).sample.float()
        return Prediction((alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * v).clamp(-1, 1))


class Step(NamedTuple):
    """The input and target of the network for a batch: noisy images, timesteps, noise levels and v."""

    x_t: Tensor
    t: Tensor
    noise: Tensor
    v: Tensor


class PriorTraining(LightningModule):
    """Learns v = sqrt(ᾱ)·ε − sqrt(1−ᾱ)·x_0 from x_t = sqrt(ᾱ)·x_0 + sqrt(1−ᾱ)·ε (Salimans & Ho, ICLR 2022).

    The noise level sqrt((1−ᾱ)/ᾱ) is drawn uniformly on a logarithmic scale: by default for three quarters of the crops
    between 0.01 and 2, the levels of restoration, for the others over the whole schedule. Uniform timesteps, as usual,
    would give only 1 % of the crops noise of up to 5/255. The loss of each level is divided by its running mean, so
    that a relative improvement counts the same at every level (the optimum of the learned uncertainty of Kendall,
    Gal & Cipolla, CVPR 2018, per level as in Karras et al., CVPR 2024).

    Args:
        network: the network to train.
        alphas_cumprod: ᾱ of the schedule, (T,).
        optimization: the settings of the optimization.
        name: of the prior.
        keeping: the answers to keep, for ``optimization.kept``.
    """

    usual_loss: Tensor

    def __init__(
        self, network: DenoisingUNet, alphas_cumprod: Tensor, optimization: Optimization, name: str = "prior",
        keeping: Keeping | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        torch.nn.Module.to(network, memory_format=torch.channels_last)
        self.network = network
        self.optimization = optimization
        self.prior = NetworkPrior(network, alphas_cumprod, name)
        self.register_buffer("usual_loss", torch.ones(BINS))
        self.keeping = keeping
        self.measured: dict[float, list[float]] = {}
        self.curve: list[dict[str, float]] = []

    def noisy(self, clean: Tensor, noise: Tensor, uniform: Tensor) -> Step:
        """x_t (B, 3, H, W) for clean images in [-1, 1], unit noise, and (B, 2) uniform numbers for the level."""
        usual = uniform[:, 0] < self.optimization.restoring
        low = torch.where(usual, math.log(USUAL_LOWEST), math.log(LOWEST))
        high = torch.where(usual, math.log(USUAL_HIGHEST), math.log(HIGHEST))
        t = self.prior.timestep((low + (high - low) * uniform[:, 1]).exp())
        alpha_bar = self.prior.alpha_bar(t).to(clean)[:, None, None, None]
        signal, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        x_t = (signal * clean + sigma * noise).contiguous(memory_format=torch.channels_last)
        return Step(x_t, t.to(clean), (sigma / signal).flatten(), signal * noise - sigma * clean)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        kept = self._kept(len(batch[0]))
        step = self.noisy(*(part[kept:] for part in batch))
        each, bins = self._errors(step), _bins(step.noise)
        with torch.no_grad():
            for k, loss in zip(bins, each, strict=True):
                self.usual_loss[k].lerp_(loss.clamp(max=4 * self.usual_loss[k].item()), 0.02)
        total = (each / self.usual_loss[bins]).sum()
        if kept:
            old = self._old(batch[0][:kept], batch[1][:kept])
            total = total + KEPT * (self._errors(old) / self.usual_loss[_bins(old.noise)]).sum()
        total = total / len(batch[0])
        if not bool(torch.isfinite(total)):
            raise DivergenceError(f"the training diverged at step {self.global_step}; try a smaller optimization.lr")
        self.log("loss", total, prog_bar=True)
        self.log("v_error", each.mean())
        return total

    def _errors(self, step: Step) -> Tensor:
        return (self.network(step.x_t, step.t).sample.float() - step.v).square().mean(dim=(1, 2, 3))

    def _kept(self, count: int) -> int:
        """Number of the ``count`` crops of this step on which the network answers as it was."""
        o = self.optimization
        return int(o.kept * count) if self.global_step >= (1 - o.decay) * o.steps else 0

    def _old(self, clean: Tensor, noise: Tensor) -> Step:
        """The answers of the first network for images without the noise that it is told, as a ``Step``."""
        assert self.keeping is not None
        images, level = self.keeping.images(clean, noise, self.global_step)
        t = self.prior.timestep(level)
        signal = self.prior.alpha_bar(t).sqrt().to(images)[:, None, None, None]
        x_t = (signal * images).contiguous(memory_format=torch.channels_last)
        return Step(x_t, t.to(images), level, self.keeping.answers(x_t, t.to(images)))

    def measure(self, prior: VPPrior, clean: list[Tensor]) -> dict[float, float]:
        """Mean PSNR in dB by noise level on clean images (1, 3, H, W) in [-1, 1], each with different noise.

        It keeps the squared errors in ``measured``, for ``psnr`` and ``rmse``.
        """
        self.measured = {level: [] for level in LEVELS}
        for i, image in enumerate(clean):
            for k, level in enumerate(LEVELS):
                generator = torch.Generator().manual_seed(1000 * i + k)
                noise = torch.randn(image.shape, generator=generator).to(image)
                error = (denoised(prior, image, noise, level) - image).square().mean()
                self.measured[level].append(float(error))
        return self.psnr()

    def psnr(self) -> dict[float, float]:
        """Mean PSNR in dB of the last measurement, by noise level."""
        return {
            level: sum(10 * math.log10(4 / error) for error in errors) / len(errors)
            for level, errors in self.measured.items()
        }

    def rmse(self) -> dict[float, float]:
        """Root-mean-square error of the last measurement, by noise level, in units of [-1, 1]."""
        return {level: (sum(errors) / len(errors)) ** 0.5 for level, errors in self.measured.items()}

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        o = self.optimization
        optimizer: torch.optim.Optimizer
        if o.optimizer == "muon":
            optimizer = Muon(self.network, o.lr, o.weight_decay)
        else:
            optimizer = torch.optim.AdamW(
                self.network.parameters(), lr=o.lr, betas=(0.9, 0.99), weight_decay=o.weight_decay, fused=True
            )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.lr_factor)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        # Lightning refuses to clip gradients with fused optimizers because of scaled float16, which is not used here.
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.optimization.clip)

    def on_train_start(self) -> None:
        # An extended training continues with the learning rate of its new schedule, not with the saved rate.
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.optimization.lr * self.lr_factor(self.trainer.global_step)

    def lr_factor(self, step: int) -> float:
        """The learning rate divided by the largest: it rises linearly, is constant, and falls linearly to zero."""
        o = self.optimization
        up = (step + 1) / max(1, o.warmup)
        down = (o.steps - step) / max(1.0, o.decay * o.steps)
        return max(0.0, min(1.0, up, down))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["curve"] = self.curve

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.curve = checkpoint["curve"]


def _bins(noise: Tensor) -> Tensor:
    """The index of the running mean for each noise level."""
    return ((noise / LOWEST).log() / math.log(HIGHEST / LOWEST) * BINS).long().clamp(0, BINS - 1)


def denoised(prior: VPPrior, clean: Tensor, noise: Tensor, level: float) -> Tensor:
    """The prior's clean estimate of images (B, 3, H, W) in [-1, 1] with unit ``noise`` times ``level`` on them."""
    t = prior.timestep(torch.full((len(clean),), level))
    alpha_bar = prior.alpha_bar(t).to(clean)[:, None, None, None]
    return prior.predict(alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise, t).x0
