"""Image restoration with no training for the task: ``zeroair_pl.restore("photo.jpg", "dehaze")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroair_pl.api import evaluate, restore
    from zeroair_pl.degradations.base import Degradation
    from zeroair_pl.guidance.base import GuidanceLoss
    from zeroair_pl.method.restoration import Restoration
    from zeroair_pl.restorer import Restorer

__all__ = ["Degradation", "GuidanceLoss", "Restoration", "Restorer", "evaluate", "restore"]

_HOMES = {
    "restore": "zeroair_pl.api",
    "evaluate": "zeroair_pl.api",
    "Restoration": "zeroair_pl.method.restoration",
    "Restorer": "zeroair_pl.restorer",
    "Degradation": "zeroair_pl.degradations",
    "GuidanceLoss": "zeroair_pl.guidance",
}


def __getattr__(name: str) -> Any:
    # On demand: torch and Lightning take seconds to load, which `--help` and the shell's completion should not cost.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
