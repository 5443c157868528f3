"""Lightning's Trainer as a fit uses it: silent, on one device, and stopped by Ctrl-C as Python stops."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from zeroair_pl.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer

# What the fit itself decides, or what would stop it before the end of its schedule.
_TRAINER_OWN = {"enable_checkpointing", "accumulate_grad_batches", "gradient_clip_val"} | {
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run"),
}


def checked_options(trainer: Mapping[str, Any] | None) -> dict[str, Any]:
    """Further arguments of ``lightning.Trainer``, known to be some.

    Raises:
        ConfigError: there is no such argument, or the fit itself decides it.
    """
    import inspect

    from lightning.pytorch import Trainer

    known = [name for name in inspect.signature(Trainer.__init__).parameters if name != "self"]
    for name in trainer or {}:
        if name in _TRAINER_OWN:
            raise ConfigError(f"trainer.{name}: is decided by the fit itself.")
        if name not in known:
            raise ConfigError(f"trainer: lightning.Trainer has no option {name!r}.{did_you_mean(name, known)}")
    return dict(trainer or {})


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
            raise error.__context__ from None  # itself: SIGTERM comes as a subclass, see ``signals``
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
