"""The eight rotations and flips of an image. Over them, a network's systematic errors do not add up."""

from __future__ import annotations

import torch
from torch import Tensor


def turned(x: Tensor, k: int) -> Tensor:
    """The k-th of the eight rotations and flips of images (…, H, W); k is taken modulo 8."""
    k %= 8
    return torch.rot90(x.flip(-1) if k >= 4 else x, k % 4, (-2, -1))


def turned_back(x: Tensor, k: int) -> Tensor:
    """The inverse of ``turned``."""
    k %= 8
    x = torch.rot90(x, -(k % 4), (-2, -1))
    return x.flip(-1) if k >= 4 else x
