"""Maps of a photo: smooth grids that are learned, edges that are followed, thumbnails and their quantiles."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def smooth_grid(y: Tensor, cells: int = 8) -> nn.Parameter:
    """A smooth correction to the logarithm of a map of ``y`` (1, 3, H, W): a parameter (1, 1, h, w) of zeros.

    It has ``cells`` values along the long side. The number of cells does not depend on the size of the photo, so a
    setting has the same effect on a thumbnail and on a photo.
    """
    height, width = y.shape[-2:]
    h, w = (max(2, round(cells * side / max(height, width))) for side in (height, width))
    return nn.Parameter(y.new_zeros(1, 1, h, w))


def correct(log_map: Tensor, grid: Tensor) -> Tensor:
    """exp(log_map + grid), with the grid upsampled smoothly (bicubic), so that a correction cannot draw an edge."""
    size = (log_map.shape[-2], log_map.shape[-1])
    return (log_map + upsample(grid, size)).exp()


def upsample(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """A smooth (bicubic) map (…, *size) from a grid (…, h, w) with the same corners.

    The interpolation is linear, so it is a product with a matrix for the rows and one for the columns, R·grid·Cᵀ.
    Forward and backward, this takes a tenth of the time of ``torch.nn.functional.interpolate``.
    """
    rows, columns = (_bicubic(n, length, grid.device) for n, length in zip(grid.shape[-2:], size, strict=True))
    return rows.to(grid) @ grid @ columns.to(grid).T


@lru_cache(maxsize=64)
def _bicubic(cells: int, length: int, device: torch.device) -> Tensor:
    """The matrix (length, cells) that interpolates ``cells`` values to ``length`` values."""
    unit = torch.eye(cells, device=device)[None, None]
    return F.interpolate(unit, size=(length, cells), mode="bicubic", align_corners=True)[0, 0]


def thumbnail(y: Tensor, pixels: int = 256 * 256) -> Tensor:
    """``y`` (1, 3, H, W), clamped to [0, 1] and shrunk to about ``pixels`` pixels if it has more.

    Statistics of a thumbnail do not depend on the size of the photo.
    """
    height, width = y.shape[-2:]
    scale = (pixels / (height * width)) ** 0.5
    if scale >= 1:
        return y.clamp(0, 1)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(y.clamp(0, 1), size=size, mode="area")


def quantiles(y: Tensor, q: float) -> Tensor:
    """The quantile ``q`` of each channel of (1, C, H, W) or (1, H, W), as (C,) or (1,).

    Of a large image it takes a regular sample of the values.
    """
    values = y.flatten(-2)
    # torch.quantile accepts at most 16 million values, and a regular sample is accurate enough.
    return values[..., :: max(1, values.shape[-1] // 200_000)].quantile(q, dim=-1).flatten()


def refine(rough: Tensor, y: Tensor, radius: int, eps: float, samples: int = 24) -> Tensor:
    """Smooths a map (1, 1, H, W) except at edges in the brightness of ``y``.

    This is a guided filter (He, Sun & Tang, ECCV 2010). For a large radius, its linear coefficients, which are smooth,
    are computed on a subsampled grid (fast guided filter, He & Sun, 2015): the time does not grow with the radius.

    Args:
        rough: the map.
        y: the photo, (1, 3, H, W).
        radius: of the window, in pixels.
        eps: variance of the brightness in a window, below which the window counts as flat.
        samples: least number of samples along a side of the window.
    """
    from kornia.filters import guided_blur

    size = 2 * min(radius, (min(y.shape[-2:]) - 1) // 2) + 1
    guide = y.mean(dim=1, keepdim=True)
    return guided_blur(guide, rough, size, eps, subsample=max(1, size // samples), separable=True)


def filled(y: Tensor, seen: Tensor) -> Tensor:
    """``y`` (1, 3, H, W) with its missing pixels replaced by means of the seen pixels in growing squares around them.

    Args:
        seen: (1, 1, H, W), 1 where a pixel shows the scene, 0 where it is missing.
    """
    if min(y.shape[-2:]) < 2 or bool(seen.bool().all()):
        return y
    count = F.avg_pool2d(seen, 2, ceil_mode=True)
    mean = F.avg_pool2d(y * seen, 2, ceil_mode=True) / count.clamp(min=1e-6)
    coarse = filled(mean, (count > 0).to(y)) if bool((count == 0).any()) and bool((count > 0).any()) else mean
    size = (y.shape[-2], y.shape[-1])
    return torch.lerp(F.interpolate(coarse, size=size, mode="bilinear", align_corners=False), y, seen)
