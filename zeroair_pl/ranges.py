"""Ranges of settings, declared where a parameter is defined, and checked in every call.

    class Haze(Degradation):
        def __init__(self, strength: Annotated[float, Range(0, 1)] = 0.88) -> None: ...

A degradation, loss, update, sampler, prior or adaptation needs nothing more, one of a plugin neither. A function or a
dataclass needs the decorator ``ranged``.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, TypeVar

from zeroair_pl.errors import ConfigError

Checked = TypeVar("Checked", bound=Callable[..., Any])


@dataclass(frozen=True)
class Range:
    """The finite numbers from ``low`` to ``high``; ``above`` leaves ``low`` itself out.

    In a list or a dataclass each number is checked; what is not a number, such as ``None``, passes.
    """

    low: float
    high: float = math.inf
    above: bool = False

    def has(self, value: object) -> bool:
        """Whether a setting is no number, or a number of this range."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.astuple(value)
        if isinstance(value, list | tuple):
            return all(map(self.has, value))
        if not isinstance(value, int | float):
            return True
        return math.isfinite(value) and (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{'above' if self.above else 'of at least'} {self.low:g}"
        return f"above {self.low:g} and at most {self.high:g}" if self.above else f"from {self.low:g} to {self.high:g}"


def nearest_share(value: object) -> str:
    """A sentence that suggests the share from 0 to 1 that a percentage or a decimal comma means; empty for others.

    >>> nearest_share("60%")
    ' Did you mean 0.6?'
    """
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%").replace(",", "."))
    except ValueError:
        return ""
    if percent := text.endswith("%") or number >= 10:  # 2 is hardly 2 %
        number /= 100
    return f" Did you mean {number:g}?" if (percent or "," in text) and 0 <= number <= 1 else ""


class RangeError(ConfigError):
    """A setting is out of its range.

    Args:
        where: what has the setting: a class, a group of settings, or nothing.
        name: of the setting.
        value: that was given.
        expected: the range.
    """

    def __init__(self, where: str, name: str, value: object, expected: Range) -> None:
        near = nearest_share(value) if (expected.low, expected.high) == (0, 1) else ""
        super().__init__(f"{f'{where}.' if where else ''}{name} is {value}, expected a number {expected}.{near}")
        self.name, self.value = name, value


class Ranged:
    """Base of classes whose constructors check their arguments, those of subclasses too."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isfunction(own := vars(cls).get("__init__")):
            cls.__init__ = _checking(own, lambda arguments: type(arguments[0]).__name__)  # type: ignore[method-assign]


def ranged(where: str = "") -> Callable[[Checked], Checked]:
    """For a function or a dataclass: its arguments are checked at each call; errors say ``where.argument``."""

    def decorate(target: Checked) -> Checked:
        if isinstance(target, type):
            target.__init__ = _checking(target.__init__, lambda arguments: where)  # type: ignore[misc]
            return target
        return _checking(target, lambda arguments: where)

    return decorate


@cache
def ranges_of(function: Callable[..., Any]) -> dict[str, Range]:
    """The ranges of the arguments of a function or a class, by name."""
    function = inspect.unwrap(function.__init__ if isinstance(function, type) else function)  # type: ignore[misc]
    found = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, getattr(function, "__globals__", {}))
            except Exception:  # as for a name that is imported for type checkers alone
                continue
        for each in getattr(annotation, "__metadata__", ()):
            if isinstance(each, Range):
                found[name] = each
    return found


def _checking(function: Any, where: Callable[[tuple[Any, ...]], str]) -> Any:
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if ranges := ranges_of(function):
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:  # the function itself says it better
                given = {}
            for name, expected in ranges.items():
                if name in given and not expected.has(given[name]):
                    raise RangeError(where(args), name, given[name], expected)
        return function(*args, **kwargs)

    return call
