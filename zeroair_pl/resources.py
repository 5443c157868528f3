"""Where the configs and plugins lie that came with the program."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal

_HERE = Path(__file__).parent


def shipped(name: Literal["configs", "plugins"]) -> Path:
    """The folder of that name that came with the program: inside an installed package, or beside it in a checkout."""
    installed = _HERE / "_shipped" / name
    return installed if installed.is_dir() else _HERE.parent / name


def version() -> str:
    """Of this program; ``"unknown"`` in a checkout that is not installed."""
    try:
        return metadata.version("zeroair-pl")
    except metadata.PackageNotFoundError:
        return "unknown"
