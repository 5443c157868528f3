"""A blur kernel of any form, found from coarse to fine by estimating the sharp photo and the kernel in turns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = (0.3, 0.42, 0.6, 0.8, 1.0)
ROUNDS = 6  # pairs of estimates at each scale
LAST = 2  # rounds of them that restore the photo thoroughly
MODEL = 4 / 255  # error in y from an inexact kernel, in addition to the noise
RIDGE, STRONG, MIXED, FAINT = 0.3, 0.1, 0.7, 0.05
SURE = 0.6  # scale from which on the kernel's size is known
EXTENT, MARGIN = 0.2, 1.3  # share of the largest value that shows the kernel's size; that it is cut to, in this size
PIECE = 0.1  # share of the sum from which on a piece without connection to the others belongs to the path
SOLVING = 60  # gradient steps for one kernel


class Restoring(NamedTuple):
    """How the photo is restored for one estimate of a free kernel, as by ``AnnealedSampler``.

    Attributes:
        levels: noise levels of the prior's passes.
        halved: number of the first levels at which the prior sees half the size.
        momentum, trust: of ``AnnealedSampler``.
    """

    levels: tuple[float, ...]
    halved: int = 0
    momentum: float = 0.0
    trust: float = 1.0


QUICK = Restoring((30 / 255, 15 / 255, 8 / 255))
THOROUGH = Restoring(tuple(30 / 255 * (8 / 30) ** (k / 7) for k in range(8)), 5, 0.7, 0.35)
Restore = Callable[[Tensor, Tensor, float, Restoring], tuple[Tensor, Tensor]]


def estimate_kernel(y: Tensor, noise: float, restore: Restore, side: int = 41) -> Tensor:
    """A kernel (k, k), k odd, of sum 1, that may have blurred ``y`` (1, 3, H, W).

    At each scale, a few passes of the prior restore the photo for the current kernel. The next kernel is then the
    least-squares solution between the strongest gradients of the sharp and the blurred image, with values of at least
    0. The start at a coarse scale avoids the trivial solution "no blur" (as in Cho & Lee, 2009). From ``SURE`` on, the
    kernel is cut to the size of its large values, since edges of the scene in one direction leave faint lines in it.
    A shift of the kernel only shifts the sharp image. So the middle of the path that the camera took, as far as its
    large values show it, is put into the middle of the kernel.

    Args:
        y: the photo, in [0, 1].
        noise: standard deviation of the noise on y, in units of [0, 1].
        restore: ``restore(y, kernel, noise, way)`` returns the sharp and the blurred image, (1, 3, H', W') each. Both
            are larger than y by the border that the kernel needs.
        side: the most pixels that a path of the camera may be wide or high.
    """
    height, width = y.shape[-2:]
    places = torch.arange(7.0) - 3
    bell = torch.exp(-places.square() / 2)
    kernel = bell[:, None] * bell
    before = SCALES[0]
    for scale in SCALES:
        size = (max(24, round(height * scale)), max(24, round(width * scale)))
        small = y if scale == 1 else F.interpolate(y, size=size, mode="bicubic", antialias=True, align_corners=False)
        length = side * scale
        if scale > SURE:
            length = min(length, MARGIN * len(kernel) * scale / before + 2)
        kernel = _resized(kernel, scale / before, _odd(length))
        for k in range(ROUNDS):
            way = THOROUGH if scale == 1 and k >= ROUNDS - LAST else QUICK
            sharp, whole = restore(small, kernel / kernel.sum(), math.hypot(noise * scale, MODEL), way)
            found = _tidy(_least_squares(_luma(sharp), _luma(whole), kernel), FAINT)
            kernel = _tidy(torch.lerp(kernel, found, MIXED), 0.0)
        before = scale
        if scale >= SURE:
            kernel = _cut(kernel, MARGIN)
    return _cut(_connected(kernel))


def textured_part(y: Tensor, side: int) -> Tensor:
    """The part of ``side``×``side`` pixels of a photo (1, 3, H, W) with the most texture; a small photo itself."""
    height, width = y.shape[-2:]
    parts = [
        y[..., top : top + side, left : left + side]
        for top in sorted({max(0, height - side) * k // 2 for k in range(3)})
        for left in sorted({max(0, width - side) * k // 2 for k in range(3)})
    ]
    return max(parts, key=lambda part: float(part.diff(dim=-1).abs().mean() + part.diff(dim=-2).abs().mean()))


def _least_squares(x: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """argmin ‖k * ∇x − ∇y‖² + ridge·‖k‖² over k ≥ 0, by accelerated projected gradients in the Fourier domain.

    Only the strongest ∇x count. x and y are (H, W) and periodic. The kernel has the shape of ``start``.
    """
    n, (height, width) = len(start), x.shape
    gx, gy = (torch.stack([v - v.roll(1, -1), v - v.roll(1, -2)]) for v in (x, y))
    strength = gx.square().sum(0)
    gx = gx * (strength >= strength.flatten().quantile(1 - STRONG))
    fx, fy = torch.fft.rfft2(gx), torch.fft.rfft2(gy)
    power = fx.abs().square().sum(0)
    offset = n // 2
    wanted = torch.fft.irfft2((fx.conj() * fy).sum(0), s=x.shape).roll((offset, offset), (0, 1))[:n, :n]
    ridge = RIDGE * power.mean()

    def normal(k: Tensor) -> Tensor:
        return torch.fft.irfft2(power * torch.fft.rfft2(k, s=(height, width)), s=(height, width))[:n, :n] + ridge * k

    vector = torch.ones_like(start) / n
    for _ in range(8):  # power iterations, which give the step size
        vector = normal(vector)
        largest = vector.norm()
        vector = vector / largest
    z, kernel, t = start, start, 1.0
    for _ in range(SOLVING):
        following = (z - (normal(z) - wanted) / (1.05 * largest)).clamp(min=0)
        after = (1 + math.sqrt(1 + 4 * t * t)) / 2
        z = following + (t - 1) / after * (following - kernel)
        kernel, t = following, after
    return kernel


def _tidy(kernel: Tensor, floor: float) -> Tensor:
    """The kernel without values below ``floor`` times the largest, centered on its center of mass, with sum 1."""
    kernel = kernel.clamp(min=0)
    kernel = kernel.where(kernel >= floor * kernel.max(), 0)
    kernel = kernel / kernel.sum().clamp(min=1e-9)
    n = len(kernel)
    places = torch.arange(n, dtype=kernel.dtype) - n // 2
    down, across = (int((kernel.sum(axis) * places).sum().round()) for axis in (1, 0))
    kernel = F.pad(kernel, (n, n, n, n))[n + down : 2 * n + down, n + across : 2 * n + across]
    return kernel / kernel.sum().clamp(min=1e-9)


def _odd(length: float) -> int:
    return max(7, 2 * int(length / 2) + 1)


def _connected(kernel: Tensor) -> Tensor:
    """The kernel without its small pieces: groups of neighboring values above ``FAINT`` that have little of its sum."""
    path = kernel >= FAINT * kernel.max()
    pieces = torch.arange(1.0, kernel.numel() + 1).view_as(kernel) * path
    while True:  # each piece gets the largest number in it
        grown = F.max_pool2d(pieces[None, None], 3, stride=1, padding=1)[0, 0] * path
        if torch.equal(grown, pieces):
            break
        pieces = grown
    sums = torch.zeros(kernel.numel() + 1).index_add_(0, pieces.long().flatten(), kernel.flatten())
    return kernel.where(path & (sums[pieces.long()] >= PIECE * kernel.sum()), 0)


def _cut(kernel: Tensor, margin: float | None = None) -> Tensor:
    """A kernel (k, k), k odd, of sum 1, with the middle of the box of the values above ``EXTENT`` in its middle.

    Its size is ``margin`` times that of this box and 4 px; without a margin it has all values above 0.
    """
    rows, columns = (torch.nonzero((kernel >= EXTENT * kernel.max()).any(axis)).flatten().tolist() for axis in (1, 0))
    down, across = ((where[0] + where[-1]) // 2 for where in (rows, columns))
    if margin:
        half = int(margin * (max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1) / 2) + 2
    else:
        half = int((kernel.nonzero() - torch.tensor([down, across])).abs().max())
    cut = F.pad(kernel, [half] * 4)[down : down + 2 * half + 1, across : across + 2 * half + 1]
    return cut / cut.sum()


def _resized(kernel: Tensor, scale: float, length: int) -> Tensor:
    """The kernel scaled by ``scale``, on a grid (length, length)."""
    n = max(3, round(len(kernel) * scale))
    n += 1 - n % 2
    found = F.interpolate(kernel[None, None], size=(n, n), mode="bicubic", antialias=True, align_corners=False)[0, 0]
    side = (length - n) // 2
    return _tidy(F.pad(found, (side, side, side, side)), 0.0)  # negative padding crops


def _luma(x: Tensor) -> Tensor:
    return (x * x.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)).sum(1)[0]
