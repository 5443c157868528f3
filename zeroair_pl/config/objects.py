"""Objects as settings from Python: how they are passed to the parser, and how a config would state them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeroair_pl.errors import ConfigError, describe

_PLAIN = (bool, int, float, str, type(None))


class Copies:
    """A factory that copies a given degradation. A fit changes its degradation, so each photo needs its own copy."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self) -> Any:
        return copy.deepcopy(self.model)

    def __repr__(self) -> str:
        return f"{type(self.model).__name__}()"


def usable(value: Any, where: str = "") -> Any:
    """Settings from Python in the form that the parser accepts.

    Dataclasses become dicts of their fields, paths and classes become text, and a degradation becomes ``Copies`` of
    itself. Any other object stays as it is.

    Args:
        value: a setting, or a dict of settings.
        where: the setting's name, for the error.

    Raises:
        ConfigError: an image stands where a setting was expected, or an object cannot be built.
    """
    if isinstance(value, type):
        return _by_name(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        if isinstance(kind := value.get("class_path"), type) and isinstance(_by_name(kind), type):
            return _of_local_class(kind, usable(value.get("init_args") or {}, where), where)
        return {key: usable(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [usable(item, where) for item in value]
    if isinstance(value, Path):
        return str(value)
    if image := image_kind(value):
        if getattr(value, "shape", True):
            raise ConfigError(f"{where}: {image} is not a setting.")
        return value.item()
    degradations = sys.modules.get("zeroair_pl.degradations.base")  # without it, no degradation can exist
    return Copies(value) if degradations is not None and isinstance(value, degradations.Degradation) else value


def image_kind(value: object) -> str:
    """A description of an array, a tensor or a Pillow image, without its contents; empty for any other value.

    >>> import numpy as np
    >>> image_kind(np.zeros((4, 5, 3)))
    'a numpy array of shape (4, 5, 3) and type float64'
    """
    if isinstance(value, type):
        return ""
    module, name = type(value).__module__.partition(".")[0], type(value).__name__
    if module in ("numpy", "torch") and hasattr(value, "shape") and hasattr(value, "dtype"):
        shape = tuple(int(side) for side in value.shape)
        what = "a numpy array" if module == "numpy" else "a tensor"
        return f"{what} of shape {shape} and type {str(value.dtype).removeprefix('torch.')}"
    return f"a Pillow image ({name})" if module == "PIL" and hasattr(value, "getbands") else ""


def is_object(value: object) -> bool:
    """Whether a setting is an object, which cannot be written in a config."""
    return not isinstance(value, (*_PLAIN, Mapping, list, tuple, Path))


def stated(value: Any) -> dict[str, Any]:
    """An object as a config states it: its class, and the arguments that it was built with.

    If an argument cannot be read from the object, ``state`` has a digest of everything in the object, so that two
    different objects have different settings.

        >>> from zeroair_pl.degradations import Haze
        >>> stated(functools.partial(Haze, strength=0.5))
        {'class_path': 'zeroair_pl.degradations.haze.Haze', 'init_args': {'strength': 0.5, ...}}
    """
    if isinstance(value, functools.partial) and isinstance(value.func, type) and not value.args:
        options = inspect.signature(value.func).parameters.values()
        defaults = {each.name: each.default for each in options if _is_plain(each.default)}
        return _lines(value.func, {**plain(defaults), **plain(value.keywords)})
    if isinstance(value, Copies):
        return stated(value.model)
    if isinstance(value, type):
        return _lines(value, {})
    if inspect.isfunction(value) or isinstance(value, functools.partial) or inspect.ismethod(value):
        return stated(made(value))
    accepted = inspect.signature(type(value)).parameters.values()
    names = [each.name for each in accepted if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    known = {name: _argument(value, name) for name in names}
    if any(item is _UNKNOWN for item in known.values()):
        return _lines(type(value), {"state": _digest(value)})
    return _lines(type(value), {name: plain(item) for name, item in known.items()})


def plain(value: Any) -> Any:
    """A value as a config holds it: namespaces of the parser become dicts, objects are stated."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return stated(value) if is_object(value) else value


_UNKNOWN = object()


def _argument(value: Any, name: str) -> Any:
    """The value of the constructor's argument ``name``: an attribute of that name, or an entry of its settings."""
    for place in (vars(value).get("_settings"), getattr(value, "config", None), vars(value)):
        if isinstance(place, Mapping):
            for key in (name, f"_{name}"):
                if key in place and (_is_plain(place[key]) or not callable(place[key])):
                    return place[key]
    return _UNKNOWN


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    return all(map(_is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, (*_PLAIN, Path))


def _lines(kind: type, arguments: dict[str, Any]) -> dict[str, Any]:
    lines: dict[str, Any] = {"class_path": f"{kind.__module__}.{kind.__qualname__}"}
    return {**lines, "init_args": arguments} if arguments else lines


def _by_name(kind: type) -> Any:
    """The name by which the class can be imported; the class itself if it cannot be imported by name."""
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return f"{kind.__module__}.{kind.__qualname__}" if found is kind else kind


def _of_local_class(kind: type, arguments: dict[str, Any], where: str) -> Any:
    """A class that cannot be imported by name, with options: a factory for a degradation, else the built object."""
    from zeroair_pl.degradations.base import Degradation

    if issubclass(kind, Degradation):
        return functools.partial(kind, **arguments)
    try:
        return kind(**arguments)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{where}: cannot be built, {describe(error)}") from error


def made(factory: Any) -> Any:
    """A degradation from its factory, without a trace in the random state; raises ConfigError if it cannot be built."""
    import torch

    with torch.random.fork_rng(devices=[]):
        try:
            return factory()
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"degradation: cannot be built, {describe(error)}") from error


def _digest(value: Any) -> str:
    """16 hexadecimal digits that change with the numbers, texts and tensors in the object and in its parts."""
    found = hashlib.sha256()
    _feed(found, value, set())
    return found.hexdigest()[:16]


def _feed(found: Any, value: Any, seen: set[int]) -> None:
    if hasattr(value, "fingerprint"):
        found.update(value.fingerprint().encode())
    elif isinstance(value, _PLAIN):
        found.update(repr(value).encode())
    elif image_kind(value):
        array = value.detach().cpu().double().numpy() if hasattr(value, "detach") else value
        found.update(f"{array.shape}".encode() + array.tobytes())
    elif id(value) not in seen:
        seen.add(id(value))
        found.update(type(value).__qualname__.encode())
        if code := getattr(value, "__code__", None):
            constants = [each for each in code.co_consts if isinstance(each, _PLAIN)]
            found.update(code.co_code + repr(constants).encode())
        if isinstance(value, Mapping):
            value = [each for key in sorted(value, key=str) for each in (key, value[key])]
        for item in value if isinstance(value, list | tuple) else [getattr(value, "__dict__", None)]:
            _feed(found, item, seen)
