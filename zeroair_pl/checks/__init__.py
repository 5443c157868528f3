"""Checks of the contracts of all plugins, for ``plugins check`` and for the tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from zeroair_pl.checks import adaptations, degradations, guidance, priors, samplers
from zeroair_pl.errors import describe
from zeroair_pl.plugins import Kind

Check = Callable[[Any], None]


def described(cls: Any) -> None:
    """has a docstring with a first line that says what it is, and a word on each option"""
    text = cls.__dict__.get("__doc__") or ""
    first = text.strip().splitlines()[0] if text.strip() else ""
    assert len(first) >= 25, f"the docstring's first line says too little: {first!r}"
    options = [name for name in inspect.signature(cls).parameters if name not in ("self", "args", "kwargs")]
    missing = [name for name in options if f"{name}:" not in text and f"{name}," not in text]
    assert not missing or "__init__" not in vars(cls), f"options without a word in the docstring: {missing}"


CHECKS: dict[Kind, list[Check]] = {
    "family": [described, *degradations.CHECKS],
    "loss": [described, *guidance.LOSS],
    "update": [described, *guidance.UPDATE],
    "sampler": [described, *samplers.CHECKS],
    "prior": priors.CHECKS,
    "adaptation": [described, *adaptations.CHECKS],
}


def checked(cls: type, kind: Kind) -> Iterator[tuple[str, str]]:
    """Each check of a class: its promise, and why it fails, or ``""``.

    The class is built without options, so each must have a default. A check that raises anything has failed.
    """
    for check in CHECKS[kind]:
        what = " ".join((check.__doc__ or "").split())
        try:
            check(cls)
        except AssertionError as error:
            yield what, str(error) or "no"
        except Exception as error:
            yield what, describe(error)
        else:
            yield what, ""
