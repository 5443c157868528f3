"""The statistics of a photo, which several threads may ask for at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

from zeroair_pl.checks.samples import toy_photo
from zeroair_pl.degradations.statistics import statistics


def test_another_thread_at_any_line_does_not_mix_in_its_photo() -> None:
    own, other = toy_photo(32, 40, 0), toy_photo(32, 40, 1)
    expected = statistics(own)
    assert statistics(other) != expected
    lines = set()

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code is not statistics.__code__:
            return None
        if event == "line":  # before the line is run
            lines.add(frame.f_lineno)
            pool.submit(statistics, other).result()
        return traced

    with ThreadPoolExecutor(1) as pool:
        sys.settrace(traced)  # of this thread alone
        try:
            assert statistics(own) == expected
        finally:
            sys.settrace(None)
    assert len(lines) > 2
