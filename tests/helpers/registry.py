"""Every concrete family, loss and prior: those in the package and those in ``plugins/``, found by walking subclasses.

Independent of the package's own discovery on purpose: a class that the package would overlook is held to it too.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from typing import Any, TypeVar

import zeroair_pl

PLUGINS = Path(__file__).parents[2] / "plugins"
PREFIX = "contract_plugin_"
OURS = (f"{zeroair_pl.__name__}.", "zeroair_plugins.", PREFIX)
BROKEN: dict[str, str] = {}  # plugin files that do not load, and why: a test of its own says so, the others go on
T = TypeVar("T")


def concrete(base: type[T], package: str) -> list[Any]:
    """Subclasses of ``base`` that can be built, from ``zeroair_pl.<package>`` and from the plugin files."""
    found = importlib.import_module(f"{zeroair_pl.__name__}.{package}")
    for module in pkgutil.iter_modules(found.__path__, f"{found.__name__}."):
        importlib.import_module(module.name)
    for path in sorted(PLUGINS.glob("*.py")):
        _load(path)
    ours = [cls for cls in _below(base) if cls.__module__.startswith(OURS)]
    unique = {(cls.__module__, cls.__qualname__): cls for cls in ours if not inspect.isabstract(cls)}
    return sorted(unique.values(), key=lambda cls: cls.__name__)


def _load(path: Path) -> None:
    name = PREFIX + path.stem
    if any(getattr(module, "__file__", None) == str(path) for module in list(sys.modules.values())):
        return  # by a test of the command line, under the name that the package gives it
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        BROKEN[path.name] = f"{type(error).__name__}: {error}"


def _below(base: type) -> list[type]:
    children: list[type] = base.__subclasses__()
    return [cls for child in children for cls in (child, *_below(child))]
