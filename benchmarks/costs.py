"""Where the time of a fit goes beside the prior, by the function of the package that was at work.

A profiler of functions lists those of torch, which are called from everywhere. Here the time inside a library counts
for the function of the package that called it, and the prior's for nobody. Only the thread that asks is watched.
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
_INNER = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>")  # count for the function they stand in


class Costs:
    """Adds up seconds while ``watching``.

    Args:
        prior: the function that is the prior's work.

    Attributes:
        own: seconds by function: its own and those of libraries that it calls, up to the next function of the package.
        whole: those and all of what it calls, without the prior.
        calls: how often.
    """

    def __init__(self, prior: Any) -> None:
        self.own: dict[str, float] = defaultdict(float)
        self.whole: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._names: dict[CodeType, str | None] = {prior.__code__: PRIOR}
        self._stack: list[tuple[FrameType, str, float]] = []  # with the seconds of others at its begin
        self._at, self._total = 0.0, 0.0  # when time was last added; all that was, without the prior's

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What this thread does meanwhile is counted."""
        self._at = time.perf_counter()
        sys.setprofile(self._event)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._stack.clear()

    def rows(self, photos: int, most: int) -> list[dict[str, Any]]:
        """The ``most`` functions of which ``own`` is largest, in milliseconds and calls of each of so many photos."""
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
    """``module.Class.function`` for one of the package."""
    path = Path(code.co_filename)
    if PACKAGE not in path.parents or code.co_name in _INNER:
        return None
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return f"{module}.{getattr(code, 'co_qualname', code.co_name)}"
