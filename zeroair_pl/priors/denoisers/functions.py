"""A Python function as a prior: ``package.module:name`` or ``file.py:name``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from zeroair_pl.errors import ConfigError, describe, did_you_mean
from zeroair_pl.paths import at_home
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.denoisers.base import Denoiser


def names_function(path: str) -> bool:
    """Whether ``path`` has the form of a function's name; a path with a drive letter has not."""
    where, colon, name = path.rpartition(":")
    parts = where.removesuffix(".py").split(".") if not where.endswith(".py") else ["file"]
    return bool(colon) and name.isidentifier() and len(where) > 1 and all(part.isidentifier() for part in parts)


def from_function(path: str) -> Denoiser:
    """The function ``name(x, sigma)``, or a ``Prior`` of that name, in a module or a Python file.

    Raises:
        ConfigError: there is no such module or name, or it cannot be called.
    """
    where, _, name = path.rpartition(":")
    module = _of_file(at_home(where)) if where.endswith(".py") else _imported(where)
    if not hasattr(module, name):
        own = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise ConfigError(f"prior.path: {where} has no {name!r}.{did_you_mean(name, own)}")
    found: Any = getattr(module, name)
    function = found.denoise if isinstance(found, Prior) else found
    if not callable(function) or isinstance(function, type):
        raise ConfigError(f"prior.path: {path} is a {type(found).__name__}; expected a function of x and sigma")
    file = getattr(module, "__file__", None)
    digest = hashlib.sha256(Path(file).read_bytes() + name.encode()).hexdigest() if file else ""
    return Denoiser(name, function, digest)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f"prior.path: the module {name} cannot be imported: {describe(error)}") from error


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"prior.path: there is no file {path}")
    name = f"zeroair_denoiser_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"prior.path: {path} cannot be run: {describe(error)}") from error
    return module
