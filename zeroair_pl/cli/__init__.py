"""The command line: ``python cli.py``, ``python -m zeroair_pl`` and ``zeroair``."""

from zeroair_pl.cli.program import main

__all__ = ["main"]
