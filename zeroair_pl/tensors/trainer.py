"""Lightning's Trainer for a fit: silent, on one device, and ended by Ctrl-C like any Python program."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.loggers import Logger

_known: dict[str, torch.device] = {}  # by what was asked for
_SHOWN = ("accelerator", "devices", "precision")  # of further arguments, in an error


def device_of(trainer: dict[str, Any] | None = None) -> torch.device:
    """The device of a fit with these further arguments of ``lightning.Trainer``."""
    asked = repr({name: (trainer or {}).get(name) for name in ("accelerator", "devices")})
    if asked not in _known:  # a Trainer takes 0.05 s
        with quiet_lightning():
            _known[asked] = trainer_of([], trainer).strategy.root_device
    return _known[asked]


def trainer_of(callbacks: list[Callback], trainer: dict[str, Any] | None, loggers: Sequence[Logger] = ()) -> Trainer:
    """A Trainer for one fit, without Lightning's own checkpoints and progress bars.

    Args:
        callbacks: all callbacks.
        trainer: further arguments of ``lightning.Trainer``; callbacks and loggers among them are left out.
        loggers: all loggers.

    Raises:
        ConfigError: Lightning refuses the arguments, such as an ``accelerator`` that this machine does not have.
    """
    from lightning.pytorch import Trainer

    settings: dict[str, Any] = {
        "accelerator": "auto",
        "devices": 1,
        "max_epochs": 1,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "num_sanity_val_steps": 0,
        **{key: value for key, value in (trainer or {}).items() if key not in ("callbacks", "logger")},
    }
    try:
        return Trainer(callbacks=callbacks, logger=list(loggers) or False, **settings)
    except Exception as error:  # Lightning raises many types
        asked = [f"trainer.{key}={settings[key]!r}" for key in _SHOWN if key in (trainer or {})]
        raise ConfigError(f"{', '.join(asked) or 'trainer'}: {' '.join(str(error).split())}") from error


@contextmanager
def plain_interrupt() -> Iterator[None]:
    """Within it, Ctrl-C raises KeyboardInterrupt. Lightning would call ``sys.exit``, and ignore further ones."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None  # itself: SIGTERM raises a subclass of it, see ``cli.process``
        raise
    finally:
        if main and handler is not None:
            signal.signal(signal.SIGINT, handler)


class quiet_lightning:
    """Within it, Lightning prints no notes on its start, which do not help a person with a photo."""

    def __enter__(self) -> None:
        import lightning.pytorch  # noqa: F401 - which sets the levels of its loggers

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
