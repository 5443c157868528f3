"""Trains a prior with Lightning's Trainer: data, averaged weights, measurements, and resuming."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from zeroair_pl import console
from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.folder import load_network
from zeroair_pl.priors.hub.locating import locate
from zeroair_pl.priors.network import DenoisingUNet
from zeroair_pl.priors.training.export import describe, export, schedule
from zeroair_pl.priors.training.keeping import Keeping
from zeroair_pl.priors.training.module import Optimization, PriorTraining
from zeroair_pl.priors.training.photos import Crops, Data, Photos, center, gather, held_out
from zeroair_pl.tensors.trainer import plain_interrupt, quiet_lightning

# Arguments of the Trainer that the training itself sets.
OWN = ("callbacks", "logger", "max_epochs", "min_epochs", "max_steps", "gradient_clip_val", "enable_checkpointing")


class PhotoData(LightningDataModule):
    """The crops of an epoch, and the held-out photographs.

    Args:
        data: the photographs.
        optimization: it decides the length of an epoch.
        folder: for the decoded photographs.
        seed: for all random numbers.
    """

    def __init__(self, data: Data, optimization: Optimization, folder: Path, seed: int) -> None:
        super().__init__()
        self.data, self.optimization, self.folder, self.seed = data, optimization, folder, seed

    def prepare_data(self) -> None:
        """Decodes the photographs. Lightning calls this in one process per machine, while the others wait."""
        photos = gather(self.data, self.folder, _counting)
        for reason in photos.skipped:
            console.show(f"warning: skipped: {reason}")
        console.show(f"{len(photos)} photographs, {photos.megapixels:.0f} megapixels")

    @property
    def photos(self) -> Photos:
        """All decoded photographs."""
        return Photos(self.folder)

    def clean(self) -> list[Tensor]:
        """The held-out photographs, (1, 3, h, w) in [-1, 1], up to 256 pixels a side."""
        photos = self.photos
        return [center(photos[i])[None] for i in held_out(photos, self.data.held_out)[1]]

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        epoch, o, photos = self.trainer.current_epoch, self.optimization, self.photos
        steps = min(o.validate_every, o.steps - epoch * o.validate_every)
        data = self.data.at(epoch * o.validate_every / o.steps)
        count = steps * data.batch * self.trainer.world_size
        crops = Crops(photos, held_out(photos, data.held_out)[0], data, count, self.seed)
        crops.epoch = epoch
        return DataLoader(crops, data.batch, num_workers=data.workers, drop_last=True)


class Averaging(WeightAveraging):
    """Exponential moving average of the weights, d = min(average, (1 + n)/(10 + n)) after n steps."""

    def __init__(self, decay: float) -> None:
        def average(mean: Tensor, current: Tensor, count: Tensor) -> Tensor:
            return mean.lerp(current.to(mean), 1 - min(decay, (1 + float(count)) / (10 + float(count))))

        super().__init__(avg_fn=average)

    @property
    def module(self) -> PriorTraining:
        """The training with averaged weights."""
        assert self._average_model is not None
        return self._average_model.module  # type: ignore[return-value]


class Measuring(Callback):
    """Measures PSNR by noise level after each epoch, in one process; writes the prior's folder, and samples for
    TensorBoard.

    Args:
        out: the prior's folder.
        photos: the data, with the held-out photographs.
        averaging: the callback with the averaged weights, which are measured.
        draw: draws images from a prior, as ``sampling.unconditional.draw``.
    """

    def __init__(self, out: Path, photos: PhotoData, averaging: Averaging, draw: Callable[..., Tensor]) -> None:
        self.out, self.photos, self.averaging, self.draw = out, photos, averaging, draw
        self.began = (time.perf_counter(), 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = (time.perf_counter(), trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        module, averaged = pl_module, self.averaging.module
        assert isinstance(module, PriorTraining)
        network = averaged.network.eval()
        with trainer.precision_plugin.val_step_context():
            psnr = module.measure(averaged.prior, [x.to(module.device) for x in self.photos.clean()])
            grid = _samples(self.draw, averaged.prior, module.device)
        row = {f"psnr/{level * 127.5:.3g}": value for level, value in psnr.items()}
        module.curve.append({"step": trainer.global_step, **row})
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.log_metrics(row, trainer.global_step)
            trainer.logger.experiment.add_image("samples", grid, trainer.global_step)
        settings = {"devices": trainer.world_size, "precision": trainer.precision}
        facts = describe(self.photos.data, self.photos.photos, module, settings)
        export(self.out, module, network, facts)
        self._tell(trainer, psnr, module.optimization.steps)

    def _tell(self, trainer: Trainer, psnr: dict[float, float], steps: int) -> None:
        began, first = self.began
        pace = (time.perf_counter() - began) / max(1, trainer.global_step - first)
        left = pace * (steps - trainer.global_step)
        levels = "  ".join(f"{level * 127.5:.0f}: {value:.2f}" for level, value in psnr.items() if level < 2)
        text = f"step {trainer.global_step} of {steps}, {left / 60:.0f} min left; PSNR by σ: {levels}"
        bar = trainer.progress_bar_callback
        bar.print(text) if bar is not None else console.show(text)


def fit_prior(
    data: Data, network: dict[str, Any], optimization: Optimization, out: Path, seed: int, options: dict[str, Any],
    draw: Callable[..., Tensor], resume: bool = True, start: str | None = None,
) -> None:  # fmt: skip
    """Trains a prior into the folder ``out``. It resumes an earlier run in the folder at its last measurement.

    ``draw`` draws the samples for TensorBoard, as ``sampling.unconditional.draw``. ``start`` names a prior from whose
    weights the training starts.

    Raises:
        ConfigError: the data or an option is impossible, the network of ``start`` differs, or answers are to be kept
            without ``start``.
        DivergenceError: the loss is not finite.
        KeyboardInterrupt: the user has stopped the training; the files of the last measurement remain.
    """
    place = out / "training"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = DenoisingUNet(**network)
    if start is not None:
        _begin_with(unet, start)
    elif optimization.kept:
        raise ConfigError(f"optimization.kept is {optimization.kept:g}: there are no answers to keep without --start")
    keeping = Keeping(unet) if optimization.kept else None
    module = PriorTraining(unet, schedule().alphas_cumprod, optimization, out.resolve().name, keeping)
    photos = PhotoData(data, optimization, place / "photos", seed)
    averaging = Averaging(optimization.average)
    checkpoints = ModelCheckpoint(place, filename="last", every_n_epochs=1, save_on_train_epoch_end=True,
                                  enable_version_counter=False)  # fmt: skip
    settings: dict[str, Any] = {
        "accelerator": "auto",
        "devices": 1,
        "precision": "bf16-mixed",
        "log_every_n_steps": 20,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": _terminal(),
        **options,
    }
    with quiet_lightning():
        engine = Trainer(
            callbacks=[averaging, Measuring(out, photos, averaging, draw), checkpoints],
            logger=TensorBoardLogger(place / "tensorboard", name="", version=""),
            max_epochs=math.ceil(optimization.steps / optimization.validate_every),
            reload_dataloaders_every_n_epochs=1,
            **settings,
        )
        last = place / "last.ckpt"
        with plain_interrupt():
            engine.fit(module, datamodule=photos, ckpt_path=last if resume and last.is_file() else None)


def _begin_with(network: DenoisingUNet, start: str) -> None:
    """Gives ``network`` the weights of the prior ``start``; further blocks of a level begin as the identity."""
    weights = load_network(locate(start)).float().state_dict()
    own = network.state_dict()
    added = own.keys() - weights.keys()
    same = all(name in own and own[name].shape == each.shape for name, each in weights.items())
    if not same or not all(".blocks." in name for name in added):
        raise ConfigError(f"start: the network of {start} is another than network.widths and network.blocks make")
    identity = {name: torch.zeros_like(own[name]) for name in added if ".conv2." in name}  # x + conv2(…)
    network.load_state_dict({**own, **weights, **identity})


def checked(options: dict[str, Any]) -> dict[str, Any]:
    """The further arguments of ``lightning.Trainer``, after a check of their names.

    Raises:
        ConfigError: there is no such argument, or the training itself sets it.
    """
    import inspect

    known = [name for name in inspect.signature(Trainer.__init__).parameters if name != "self"]
    if str(options.get("precision", "")).startswith("16"):
        raise ConfigError(f"trainer.precision: expected bf16-mixed or 32-true, got {options['precision']}")
    for name in options:
        if name in OWN:
            raise ConfigError(f"trainer.{name}: is decided by the recipe itself.")
        if name not in known:
            raise ConfigError(f"trainer: lightning.Trainer has no option {name!r}.{did_you_mean(name, known)}")
    return options


def _samples(draw: Callable[..., Tensor], prior: Prior, device: torch.device) -> Tensor:
    """Sixteen samples of the prior, as one picture (3, H, W) in [0, 1]."""
    from torchvision.utils import make_grid

    return make_grid(draw(prior, count=16, size=64, steps=25, device=device, show=False), nrow=4, padding=2)


def _counting(done: int, total: int) -> None:
    if done and done % 1000 == 0:
        console.show(f"decoded {done} of {total} photographs")


def _terminal() -> bool:
    return console.stream("stderr").isatty()
