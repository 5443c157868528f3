"""A blur kernel of any form, coarse to fine: in turns the photo under the kernel, and the kernel under the photo."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = (0.3, 0.42, 0.6, 0.8, 1.0)
ROUNDS = 6  # of both, at each scale
LEVELS = (30 / 255, 15 / 255, 8 / 255)  # noise levels of the passes of one round
MODEL = 4 / 255  # error of a kernel that is not known yet, beside the noise
RIDGE, STRONG, MIXED, FAINT = 0.3, 0.1, 0.7, 0.05
SOLVING = 60  # gradient steps for a kernel

Restore = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


def estimate_kernel(y: Tensor, noise: float, restore: Restore, side: int = 41) -> Tensor:
    """A kernel (k, k), k odd and at most ``side``, of sum 1, that may have blurred ``y`` (1, 3, H, W).

    At each scale, the photo is restored under the kernel by a few passes of the prior, and the kernel is the least
    squares solution between the strongest gradients of both, with values of at least 0. A start at a coarse scale keeps
    it from the solution "no blur" (as in Cho & Lee, 2009). One position is as good as another: the center of the kernel
    is put into its middle.

    Args:
        noise: standard deviation of the noise on y.
        restore: ``restore(y, kernel, noise)`` gives the sharp image and what it is blurred to, both of the size that
            the border of the kernel needs.
    """
    height, width = y.shape[-2:]
    places = torch.arange(7.0) - 3
    bell = torch.exp(-places.square() / 2)
    kernel = bell[:, None] * bell
    before = SCALES[0]
    for scale in SCALES:
        size = (max(24, round(height * scale)), max(24, round(width * scale)))
        small = y if scale == 1 else F.interpolate(y, size=size, mode="bicubic", antialias=True, align_corners=False)
        length = max(7, 2 * int(side * scale / 2) + 1)
        kernel = _resized(kernel, scale / before, length)
        for _ in range(ROUNDS):
            sharp, whole = restore(small, kernel / kernel.sum(), math.hypot(noise * scale, MODEL))
            found = _tidy(_least_squares(_luma(sharp), _luma(whole), kernel), FAINT)
            kernel = _tidy(torch.lerp(kernel, found, MIXED), 0.0)
        before = scale
    return kernel


def _least_squares(x: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """argmin ‖k * ∇x − ∇y‖² + ridge·‖k‖² over k ≥ 0, by accelerated projected gradients in the Fourier domain.

    ∇x counts where it is strongest. x and y are (H, W), periodic; the kernel has the shape of ``start``.
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
    for _ in range(8):  # power iterations, for the length of a step
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
    """Without values below ``floor`` of the largest, its center of mass in the middle, and of sum 1."""
    kernel = kernel.clamp(min=0)
    kernel = kernel.where(kernel >= floor * kernel.max(), 0)
    kernel = kernel / kernel.sum().clamp(min=1e-9)
    n = len(kernel)
    places = torch.arange(n, dtype=kernel.dtype) - n // 2
    down, across = (int((kernel.sum(axis) * places).sum().round()) for axis in (1, 0))
    kernel = F.pad(kernel, (n, n, n, n))[n + down : 2 * n + down, n + across : 2 * n + across]
    return kernel / kernel.sum().clamp(min=1e-9)


def _resized(kernel: Tensor, scale: float, length: int) -> Tensor:
    """The kernel in another scale, on (length, length)."""
    n = max(3, round(len(kernel) * scale))
    n += 1 - n % 2
    found = F.interpolate(kernel[None, None], size=(n, n), mode="bicubic", antialias=True, align_corners=False)[0, 0]
    side = (length - n) // 2
    return _tidy(F.pad(found, (side, side, side, side)), 0.0)  # a negative padding cuts


def _luma(x: Tensor) -> Tensor:
    return (x * x.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)).sum(1)[0]
