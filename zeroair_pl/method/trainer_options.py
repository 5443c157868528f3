"""The arguments, callbacks and loggers that a config states for ``lightning.Trainer``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, loggers
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import Logger

from zeroair_pl.errors import ConfigError, describe, did_you_mean
from zeroair_pl.method.restoration import Restoration

KINDS: dict[str, tuple[type, Any]] = {"callbacks": (Callback, lightning_callbacks), "logger": (Logger, loggers)}

# Arguments that the fit itself sets, or that would stop it before its last noise level.
_TRAINER_OWN = {"enable_checkpointing", "accumulate_grad_batches", "gradient_clip_val"} | {
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run"),
}


class Log(Callback):
    """Sends all loss terms and the noise level to the Trainer's loggers, at each timestep.

    The step is the number of the timestep, from 0. In a group of photos, the photo's name precedes each metric's name.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Restoration)
        metrics = {}
        for name, values in pl_module.record.items():
            for photo, value in zip(pl_module.names, values.detach().flatten().tolist(), strict=True):
                if value == value:  # NaN for a finished photo
                    metrics[name if len(pl_module.names) == 1 else f"{photo}/{name}"] = value
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=batch_idx)


def checked_options(trainer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The further arguments of ``lightning.Trainer`` after a check of their names and of the classes that they name.

    Raises:
        ConfigError: there is no such argument or class, or the fit itself sets the argument.
    """
    known = [name for name in inspect.signature(Trainer.__init__).parameters if name != "self"]
    for name in trainer or {}:
        if name in _TRAINER_OWN:
            raise ConfigError(f"trainer.{name}: is decided by the fit itself.")
        if name not in known:
            raise ConfigError(f"trainer: lightning.Trainer has no option {name!r}.{did_you_mean(name, known)}")
    options = {name: _described(value) for name, value in (trainer or {}).items()}
    check_watchers(options)
    return options


def _described(value: Any) -> Any:
    """Descriptions of objects as dicts; the parser uses its own type for them."""
    if isinstance(value, list | tuple):
        return [_described(each) for each in value]
    return value.as_dict() if hasattr(value, "as_dict") else value


def watchers(trainer: Mapping[str, Any] | None, name: str) -> tuple[list[Callback], list[Logger]]:
    """The callbacks and loggers of one fit.

    An object that is described by its class is built for each fit. A logger gets ``name`` as its name and
    ``default_root_dir`` (or ``logs``) as its ``save_dir``, unless these are stated. A given object is used in all fits.

    Args:
        trainer: further arguments of ``lightning.Trainer``.
        name: of the photo or the group.

    Raises:
        ConfigError: a class cannot be found, or an object cannot be built.
    """
    options = trainer or {}
    given = {"name": name, "save_dir": str(options.get("default_root_dir") or "logs")}
    callbacks = [_built(each, "callbacks", {}) for each in _listed(options.get("callbacks"))]
    return callbacks, [_built(each, "logger", given) for each in _listed(options.get("logger"))]


def check_watchers(trainer: Mapping[str, Any] | None) -> None:
    """Checks that all named callbacks and loggers exist, so that a mistake is found before any photo is opened.

    Raises:
        ConfigError: a class cannot be found.
    """
    for kind, (base, _) in KINDS.items():
        for each in _listed((trainer or {}).get(kind)):
            if isinstance(each, str | Mapping):
                _class_of(each, kind)
            elif each is not True and not callable(each) and not isinstance(each, base):
                raise ConfigError(f"trainer.{kind}: expected the name of a class, but got a {type(each).__name__}.")


def _listed(value: Any) -> list[Any]:
    if value is None or value is False:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _built(spec: Any, kind: str, given: dict[str, Any]) -> Any:
    if isinstance(spec, KINDS[kind][0]):
        return spec
    if spec is True:  # Lightning's own default
        spec = "TensorBoardLogger"
    make = _class_of(spec, kind) if isinstance(spec, str | Mapping) else spec
    options = dict(spec.get("init_args") or {}) if isinstance(spec, Mapping) else {}
    accepted = inspect.signature(make).parameters
    try:
        return make(**{key: value for key, value in given.items() if key in accepted} | options)
    except Exception as error:
        raise ConfigError(f"trainer.{kind}: {getattr(make, '__name__', make)}: {describe(error)}") from error


def _class_of(spec: str | Mapping[str, Any], kind: str) -> Any:
    path = str(spec if isinstance(spec, str) else spec.get("class_path", ""))
    module, _, name = path.rpartition(".")
    base, own = KINDS[kind]
    below = {each.__name__: each for each in _below(base)}
    known = {each: getattr(own, each) for each in own.__all__ if getattr(own, each) is not base} | below
    if not module and name in known:
        return known[name]
    try:
        found = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"trainer.{kind}: {path!r} cannot be imported ({error}).") from error
    if found is None or not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(f"trainer.{kind}: there is no {base.__name__.lower()} {path!r}.{did_you_mean(name, known)}")
    return found


def _below(base: type) -> Iterator[type]:
    children: list[type] = base.__subclasses__()
    for each in children:
        yield each
        yield from _below(each)


def let_go(engine: Trainer, module: LightningModule, own: list[Callback]) -> None:
    """Removes a Trainer's references to the photos after its end, so that their memory is free.

    A Trainer, its loops and the module refer to each other, and stay in memory until the garbage collector finds the
    cycle; a user's callback may even keep the Trainer. The Trainer keeps its loggers, metrics and counts, and loses the
    callbacks of this package, ``own``.
    """
    kept: Any = engine  # Lightning has no public names for this
    loops = (kept.fit_loop, kept.fit_loop.epoch_loop.val_loop, kept.validate_loop, kept.test_loop, kept.predict_loop)
    for loop in loops:
        loop._data_source.instance = None
    kept._data_connector._datahook_selector = None
    kept.strategy.optimizers, kept.strategy.lr_scheduler_configs = [], []
    kept.strategy._lightning_module = kept.strategy._model = None
    for callback in kept.callbacks:  # Lightning adds the module's methods to each callback
        vars(callback).pop("log", None)
        vars(callback).pop("log_dict", None)
    kept.callbacks = [each for each in kept.callbacks if each not in own]
    module.trainer = None
