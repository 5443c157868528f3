"""``zeroair plugins …``: lists the classes that settings can name, and checks whether a plugin keeps its contract."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroair_pl import console
from zeroair_pl import plugins as _plugins
from zeroair_pl.errors import ConfigError, did_you_mean


def list_(plugins: list[str] | str | None = None) -> None:
    """Show each class that settings can name: where it comes from, what it is, and its options.

    Args:
        plugins: further folders with plugin files.
    """
    titles = {
        "family": "Degradation families (--degradation NAME)",
        "loss": "Guidance losses (in guidance.terms and modeling.terms)",
        "update": "Updates (--guidance.update NAME)",
        "sampler": "Samplers (--sampling.sampler NAME)",
        "prior": "Priors (--prior NAME)",
        "adaptation": "Adaptations of the prior (--prior.adapt NAME)",
    }
    kind = ""
    for entry in _plugins.entries():
        if entry.kind != kind:
            console.show(f"{chr(10) if kind else ''}{titles[entry.kind]}")
            kind = entry.kind
        console.show(f"\n  {entry.name}  [{entry.kind}, {entry.origin}]\n      {entry.summary}")
        for name, default in entry.options.items():
            allowed = f"  (a number {entry.ranges[name]})" if name in entry.ranges else ""
            console.show(f"      {name} = {_shown(default)}{allowed}")


@dataclass(frozen=True)
class Checked:
    """How many checks a plugin has passed and failed."""

    passed: int
    failed: int

    @property
    def exit_status(self) -> int:
        """0, or 1 if a check has failed."""
        return int(self.failed > 0)


def check(plugin: str, plugins: list[str] | str | None = None) -> Checked:
    """Check that a plugin keeps the contract of its kind: a line for each promise; exit status 1 if one is broken.

    Args:
        plugin: a plugin file, or the name of a class as 'plugins list' shows it.
        plugins: further folders with plugin files.

    Raises:
        ConfigError: there is no such plugin, or it cannot be loaded.
    """
    from zeroair_pl.checks import checked

    counts = {True: 0, False: 0}
    for name, cls in _named(plugin).items():
        kind = _plugins.kind_of(cls)
        assert kind is not None
        console.show(f"{name}  [{kind}]")
        for promise, reason in checked(cls, kind):
            counts[not reason] += 1
            console.show(f"  {'FAILED' if reason else 'ok    '}  {promise}{f': {reason}' if reason else ''}")
    console.show(f"{counts[True]} passed, {counts[False]} failed")
    return Checked(counts[True], counts[False])


def _named(plugin: str) -> dict[str, type]:
    if plugin.endswith(".py") or Path(plugin).is_file():
        return _plugins.classes_in(Path(plugin))
    known = {name: cls for kind in _plugins.KINDS for name, cls in _plugins.classes(kind).items()}
    if plugin not in known:
        raise ConfigError(
            f"there is no plugin {plugin!r}.{did_you_mean(plugin, known)} Name a file or one of 'plugins list'."
        )
    return {plugin: known[plugin]}


def _shown(default: Any) -> str:
    return "(required)" if default is inspect.Parameter.empty else repr(default)
