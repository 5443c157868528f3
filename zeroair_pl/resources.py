"""Where the configs and plugins lie that came with the program, and how libraries are loaded."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Literal

_HERE = Path(__file__).parent


def shipped(name: Literal["configs", "plugins"]) -> Path:
    """The folder of that name that came with the program: inside an installed package, or beside it in a checkout."""
    installed = _HERE / "_shipped" / name
    return installed if installed.is_dir() else _HERE.parent / name


def diffusers() -> ModuleType:
    """The library of that name, ready for use. It puts another module into its own place while it is imported; a plain
    ``import``, while another thread imports it, gives the first one, which is nearly empty."""
    importlib.import_module("diffusers")  # waits for the other thread
    return importlib.import_module("diffusers")


def version() -> str:
    """Of this program; ``"unknown"`` in a checkout that is not installed."""
    try:
        return metadata.version("zeroair-pl")
    except metadata.PackageNotFoundError:
        return "unknown"


@contextmanager
def importing() -> Iterator[None]:
    """Within it, the garbage collector is off while torch and the libraries above it are imported for the first time.

    It would take a fifth of that time, for hundreds of thousands of objects that stay for good. Afterwards it does not
    look at these again, which makes its later runs short.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
