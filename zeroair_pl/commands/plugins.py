"""``python cli.py plugins …``: which degradation families and guidance losses there are."""

from __future__ import annotations

import inspect
from typing import Any

from zeroair_pl import console
from zeroair_pl import plugins as _plugins


def list_(plugins: list[str] | str | None = None) -> None:
    """Show each degradation family and guidance loss: where it comes from, what it is, and its options.

    Args:
        plugins: further folders with plugin files.
    """
    titles = {
        "family": "Degradation families (--degradation NAME)",
        "loss": "Guidance losses (in guidance.terms and modelling.terms)",
    }
    kind = ""
    for entry in _plugins.entries():
        if entry.kind != kind:
            console.show(f"{chr(10) if kind else ''}{titles[entry.kind]}")
            kind = entry.kind
        console.show(f"\n  {entry.name}  [{entry.kind}, {entry.origin}]\n      {entry.summary}")
        for name, default in entry.options.items():
            console.show(f"      {name} = {_shown(default)}")


def _shown(default: Any) -> str:
    return "(required)" if default is inspect.Parameter.empty else repr(default)
