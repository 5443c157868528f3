"""The time of a fit without the prior, by the function of the package.

An ordinary profiler lists functions of torch, which have many callers. Here, the time inside a library counts for the
function of the package that called it, and the time of the prior does not count. Only the current thread is measured.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import zeroair_pl

PACKAGE = Path(zeroair_pl.__file__).parent
PRIOR = "(prior)"
_INNER = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>")  # count for the function around them


class Costs:
    """Adds up seconds by function, inside ``watching``.

    Args:
        prior: the function that runs the prior.

    Attributes:
        own: seconds by function, including libraries that it calls, but without other functions of the package.
        whole: seconds by function, including everything that it calls except the prior.
        calls: number of calls by function.
    """

    def __init__(self, prior: Any) -> None:
        self.own: dict[str, float] = defaultdict(float)
        self.whole: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._names: dict[CodeType, str | None] = {prior.__code__: PRIOR}
        self._stack: list[tuple[FrameType, str, float]] = []  # with the total seconds at its start
        self._at, self._total = 0.0, 0.0  # time of the last addition; sum without the prior

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Counts the work of this thread inside the ``with`` block."""
        self._at = time.perf_counter()
        sys.setprofile(self._event)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._stack.clear()

    def rows(self, photos: int, most: int) -> list[dict[str, Any]]:
        """The ``most`` functions with the largest ``own``, in milliseconds and calls per photo of ``photos``."""
        names = sorted((name for name in self.own if name != PRIOR), key=lambda name: -self.own[name])[:most]
        return [
            {
                "function": name,
                "own_ms": round(1000 * self.own[name] / photos, 1),
                "whole_ms": round(1000 * self.whole[name] / photos, 1),
                "calls": round(self.calls[name] / photos, 1),
            }
            for name in names
        ]

    def _event(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            try:
                name = self._names[code]
            except KeyError:
                name = self._names[code] = _name(code)
            if name is not None and not (self._stack and self._stack[-1][1] == PRIOR):
                self._add()
                self._stack.append((frame, name, self._total))
                self.calls[name] += 1
        elif event == "return" and self._stack and self._stack[-1][0] is frame:
            self._add()
            _, name, before = self._stack.pop()
            if all(name != other for _, other, _ in self._stack):
                self.whole[name] += self._total - before

    def _add(self) -> None:
        now = time.perf_counter()
        if self._stack:
            name = self._stack[-1][1]
            self.own[name] += now - self._at
            if name != PRIOR:
                self._total += now - self._at
        self._at = now


def _name(code: CodeType) -> str | None:
    """``module.Class.function`` for a function of the package, else ``None``."""
    path = Path(code.co_filename)
    if PACKAGE not in path.parents or code.co_name in _INNER:
        return None
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return f"{module}.{getattr(code, 'co_qualname', code.co_name)}"
