"""Images of another size, where a restored photo is larger than the photo was."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def as_large_as(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(…, C, H, W) in [0, 1] in another ``size``, bicubic with antialiasing; itself where it has that size."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    batch = image if image.ndim == 4 else image[None]
    found = F.interpolate(batch, size=tuple(size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    return found if image.ndim == 4 else found[0]
