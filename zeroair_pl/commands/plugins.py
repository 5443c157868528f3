"""``zeroair plugins …``: which classes there are to name, and whether a new one keeps the contract."""

from __future__ import annotations

import inspect
from typing import Any

from zeroair_pl import plugins as _plugins


def list_(plugins: list[str] | str | None = None) -> None:
    """Show each degradation, loss, update and prior: where it comes from, what it is, and its options.

    Args:
        plugins: further folders with plugin files.
    """
    titles = {
        "family": "Degradation families (--degradation NAME)",
        "loss": "Guidance losses (in guidance.terms and modelling.terms)",
        "update": "Updates (--guidance.update NAME)",
        "prior": "Priors (--prior NAME)",
    }
    kind = ""
    for entry in _plugins.entries():
        if entry.kind != kind:
            print(f"{chr(10) if kind else ''}{titles[entry.kind]}")
            kind = entry.kind
        print(f"\n  {entry.name}  [{entry.kind}, {entry.origin}]\n      {entry.summary}")
        for name, default in entry.options.items():
            print(f"      {name} = {_shown(default)}")


def _shown(default: Any) -> str:
    return "(required)" if default is inspect.Parameter.empty else repr(default)
