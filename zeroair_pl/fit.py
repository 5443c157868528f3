"""One group of photos in, restored photos out: builds the module, the schedule and a Trainer, and runs them."""

from __future__ import annotations

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.first_look import FirstLook
from zeroair_pl.per_image import image_generator
from zeroair_pl.priors.base import Prior
from zeroair_pl.restoration import Modelling, Restoration
from zeroair_pl.sampling import DiffusionSampling, Guidance
from zeroair_pl.schedule import Schedule, Spacing
from zeroair_pl.threads import one_thread

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin
    from lightning.pytorch import Callback, Trainer


def _ddim() -> SchedulerMixin:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler()


@dataclass
class Sampling:
    """Which noise levels are visited, and by which scheduler; see ``Schedule``.

    Args:
        scheduler: any diffusers scheduler that can be built on given betas.
        steps: timesteps, and so prior forward passes of each noise map.
        start: first noise level, as a fraction of the prior's schedule: 1 starts from pure noise, less starts from the
            family's first estimate with noise at that level.
        end: last noise level; the guided clean estimate there is the result. Above 0 it is nearer to the mean of all
            plausible photos (fidelity) than to one of them (texture).
        spacing: of the levels in between.
        eta: share of fresh noise in DDIM, 0 to 1.
        working_pixels: a larger photo is solved at about so many pixels, and sees the prior at full size only over the
            levels of its own noise; see ``large``. With an update other than ``AnchoredUpdate`` for posterior means, or
            a family that is not pointwise, all is done at full size.
    """

    scheduler: SchedulerMixin = field(default_factory=_ddim)
    steps: int = 50
    start: float = 1.0
    end: float = 0.0
    spacing: Spacing = "uniform"
    eta: float = 0.0
    working_pixels: int = 1_500_000


@dataclass
class Method:
    """Everything that decides how a photo is restored."""

    degradation: Callable[[], Degradation]
    prior: Prior
    modelling: Modelling = field(default_factory=Modelling)
    guidance: Guidance = field(default_factory=Guidance)
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0


@dataclass
class Result:
    """The outcome of one fit of B photos.

    Attributes:
        restored: (B, 3, H, W) in [0, 1], on the CPU.
        maps: for each photo, the maps and numbers of its degradation, (1, C, H, W) or (1, C, 1, 1).
        noise_level: (B,) learned σ.
        forwards: for each photo, forward passes of the prior.
        seconds: wall-clock time of the fit.
        phi: the degradation models, on the CPU.
        lost: of photos that have no result, by their place: how their fit has diverged.
    """

    restored: Tensor
    maps: list[dict[str, Tensor]]
    noise_level: Tensor
    forwards: list[int]
    seconds: float
    phi: list[Degradation] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)

    def of(self, i: int) -> Result:
        """What concerns the i-th photo alone, with its share of the time."""
        seconds = self.seconds / len(self.restored)
        own, sigma = self.restored[i : i + 1], self.noise_level[i : i + 1]
        return Result(own, [self.maps[i]], sigma, [self.forwards[i]], seconds, [self.phi[i]])


def fit(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback] = (),
    trainer: dict[str, Any] | None = None,
) -> Result:
    """Restores B photos of one size in one fit. None of them has any influence on another.

    On a CPU their results are those of B fits of one photo, to the bit. Other devices compute them together, and
    operations on larger batches may round differently there.

    Args:
        y: (B, 3, H, W) in [0, 1].
        names: their names; with the seed they decide all random numbers.
        method: how to restore.
        callbacks: run after the sampler's own, so they see the guided estimate.
        trainer: further arguments of ``lightning.Trainer`` (accelerator, devices, precision is the prior's own).

    Raises:
        DivergenceError: for each of the photos, an estimate stopped being finite, or being of its photo; see
            ``divergence``. If this is true of some of them, ``Result.lost`` says so.
    """
    with one_thread(y[0, 0].numel()):
        return _fit(y, names, method, callbacks, trainer)


def _fit(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback],
    trainer: dict[str, Any] | None,
) -> Result:
    from zeroair_pl.checkpoints import start
    from zeroair_pl.divergence import Watchdog, lost

    began = time.perf_counter()
    s = method.sampling
    schedule = Schedule(s.scheduler, method.prior, s.steps, s.start, s.end, s.spacing, s.eta)
    module = Restoration(
        y,
        names,
        method.degradation,
        method.modelling,
        [term.loss for term in method.guidance.terms],
        method.guidance.boundaries,
        method.seed,
    )
    sampler = DiffusionSampling(
        method.prior, schedule, method.guidance, [image_generator(method.seed, name, "sampling") for name in names]
    )
    with quiet_lightning():
        engine = trainer_of([sampler, Watchdog(), *callbacks], trainer)
        device = engine.strategy.root_device
        method.prior.to(device)
        for i, phi in enumerate(module.phi):
            look = FirstLook(method.prior, device)
            look(phi, y[i : i + 1])
            sampler.forwards[i] = look.forwards
        if stacks_on(device):
            module.to(device).stack()
        try:
            with plain_interrupt():
                engine.fit(module, train_dataloaders=schedule.timesteps, ckpt_path=start(callbacks), weights_only=True)
        finally:
            # A Trainer, its loops and the module hold each other, and the photos would stay in memory with them until
            # the garbage collector comes to cycles that old, which it does seldom.
            vars(engine).clear()
    restored = sampler.restored.detach().cpu()
    for i, what in lost(y, restored).items():
        module.lose(i, what)
    module.phi.apart()
    phi = [each.cpu() for each in module.phi]
    with torch.no_grad():
        maps, sigma = [each.maps() for each in phi], torch.stack([each.noise_level() for each in phi])
    return Result(restored, maps, sigma, sampler.forwards.tolist(), time.perf_counter() - began, phi, dict(module.lost))


def stacks_on(device: torch.device) -> bool:
    """Whether the small networks of several photos are computed together there. On a CPU they are not: operations on a
    batch round otherwise than on one photo, and a result must not depend on its company."""
    return device.type != "cpu"


def device_of(trainer: dict[str, Any] | None = None) -> torch.device:
    """The device that a fit with these further arguments of ``lightning.Trainer`` is made on."""
    with quiet_lightning():
        return trainer_of([], trainer).strategy.root_device


def trainer_of(callbacks: list[Callback], trainer: dict[str, Any] | None) -> Trainer:
    """A Trainer for one fit, without logger, checkpoints and bars of its own; ``trainer`` has further arguments."""
    from lightning.pytorch import Trainer

    settings: dict[str, Any] = {
        "accelerator": "auto",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "num_sanity_val_steps": 0,
        **(trainer or {}),
    }
    return Trainer(callbacks=callbacks, **settings)


@contextmanager
def plain_interrupt() -> Iterator[None]:
    """Ctrl-C as Python has it. Lightning would leave the process by ``sys.exit`` and be deaf to it from then on."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None  # itself: SIGTERM comes as a subclass, see ``stopping``
        raise
    finally:
        if main and handler is not None:
            signal.signal(signal.SIGINT, handler)


class quiet_lightning:
    """Keeps Lightning's start-up notes, which say nothing to a person with a photo, out of the terminal."""

    def __enter__(self) -> None:
        self._loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric", "lightning")]
        self._levels = [logger.level for logger in self._loggers]
        for logger in self._loggers:
            logger.setLevel(logging.ERROR)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=".*litlogger.*|.*number of training batches.*|.*num_workers.*")

    def __exit__(self, *_: object) -> None:
        self._warnings.__exit__(None, None, None)
        for logger, level in zip(self._loggers, self._levels, strict=True):
            logger.setLevel(level)
