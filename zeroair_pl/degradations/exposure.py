"""The exposure of a scene whose veil is gone: a tone curve that keeps black and white.

    b(x) = (1 + k)·x / (1 + k·x),    k ≥ 0

Haze adds light, and a camera exposes for the sum. Without the haze, the camera would have exposed longer. The slope of
b is at most 1 + k, so noise in the dark grows by no more than this.
"""

from __future__ import annotations

from torch import Tensor

MOST = 3.0  # largest k


def brightened(x: Tensor, k: Tensor) -> Tensor:
    """b(x) of any shape for a scalar ``k`` ≥ 0; beyond [0, 1], the straight lines that continue it."""
    inside = x.clamp(0, 1)
    curve = (1 + k) * inside / (1 + k * inside)
    return curve + (1 + k) * x.clamp(max=0) + (x - 1).clamp(min=0) / (1 + k)


def darkened(x: Tensor, k: Tensor) -> Tensor:
    """The inverse of ``brightened``: ``darkened(brightened(x, k), k)`` is x."""
    inside = x.clamp(0, 1)
    curve = inside / (1 + k * (1 - inside))
    return curve + x.clamp(max=0) / (1 + k) + (x - 1).clamp(min=0) * (1 + k)


def brightening(x: Tensor, mean: float) -> float:
    """k in [0, 3] that brings the mean of ``x`` in [0, 1], of any shape, up to ``mean``; 0 if it is there."""
    low, high = 0.0, MOST
    if float(x.mean()) >= mean:
        return low
    for _ in range(16):  # bisection: the mean grows with k
        middle = x.new_tensor((low + high) / 2)
        below = float(brightened(x, middle).mean()) < mean
        low, high = (float(middle), high) if below else (low, float(middle))
    return low
