"""Image restoration with no training for the task.

zeroair_pl.restore("holiday/*.jpg", out="clear")                     files to files
zeroair_pl.Method.from_config("auto").restore(array).image           one photo in memory
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroair_pl.api import Method
    from zeroair_pl.degradations.base import Degradation
    from zeroair_pl.files import evaluate, restore
    from zeroair_pl.guidance.base import GuidanceLoss
    from zeroair_pl.method.restoration import Restoration
    from zeroair_pl.method.restored import Restored
    from zeroair_pl.priors.base import Prior
    from zeroair_pl.restorer import Restorer

    __version__: str

__all__ = [
    "Degradation",
    "GuidanceLoss",
    "Method",
    "Prior",
    "Restoration",
    "Restored",
    "Restorer",
    "__version__",
    "evaluate",
    "restore",
]

_HOMES = {
    "restore": "zeroair_pl.files",
    "evaluate": "zeroair_pl.files",
    "Method": "zeroair_pl.api",
    "Restored": "zeroair_pl.method.restored",
    "Restoration": "zeroair_pl.method.restoration",
    "Restorer": "zeroair_pl.restorer",
    "Degradation": "zeroair_pl.degradations",
    "GuidanceLoss": "zeroair_pl.guidance",
    "Prior": "zeroair_pl.priors",
}


def __getattr__(name: str) -> Any:
    # On demand: torch and Lightning take seconds to load, which `--help` should not cost.
    if name == "__version__":
        from zeroair_pl.resources import version

        return version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
