"""How the prior sees an image in one of several passes: rotated or flipped, and perhaps at half its size.

Over the eight rotations and flips, a network's systematic errors do not add up. At half the width and height, a pass
takes a quarter of the time, and the prior sees twice as far.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class View(NamedTuple):
    """One of sixteen views of an image.

    Attributes:
        k: which of the eight rotations and flips, modulo 8.
        halved: at half the width and height, rounded up, by area means.
    """

    k: int
    halved: bool = False

    def of(self, x: Tensor) -> Tensor:
        """What the prior sees of images x, (B, C, H, W) → (B, C, H', W')."""
        if self.halved:
            x = F.interpolate(x, size=[(length + 1) // 2 for length in x.shape[-2:]], mode="area")
        k = self.k % 8
        return torch.rot90(x.flip(-1) if k >= 4 else x, k % 4, (-2, -1))

    def back(self, seen: Tensor, x: Tensor) -> Tensor:
        """The prior's answer to ``of(x)`` as an image of the size of ``x``, (B, C, H', W') → (B, C, H, W)."""
        k = self.k % 8
        seen = torch.rot90(seen, -(k % 4), (-2, -1))
        seen = seen.flip(-1) if k >= 4 else seen
        if not self.halved:
            return seen
        return F.interpolate(seen, size=x.shape[-2:], mode="bicubic", align_corners=False)
