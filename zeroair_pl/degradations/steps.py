"""Steps from 0 to 1 that turn a measured value into a share, without jumps: small changes have small effects."""

from __future__ import annotations

import math


def ramp(value: float, zero: float, full: float) -> float:
    """0 up to ``zero``, 1 from ``full`` on, linear between them; ``zero`` may be the larger one."""
    return min(1.0, max(0.0, (value - zero) / (full - zero)))


def step(x: float) -> float:
    """The logistic function: a soft step from 0 to 1 around x = 0, about 4 wide."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))
