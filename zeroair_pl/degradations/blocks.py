"""The arithmetic of JPEG: luma and chroma, 8×8 blocks and their DCT, and truncated means."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])  # JFIF
TO_RGB = torch.linalg.inv(TO_YCC.double()).float()


def to_ycc(x: Tensor) -> Tensor:
    """RGB (B, 3, H, W) to luma and two chroma channels, which are around 0; as JFIF."""
    return torch.einsum("ij,bjhw->bihw", TO_YCC.to(x), x)


def to_rgb(x: Tensor) -> Tensor:
    """The inverse of ``to_ycc``, (B, 3, H, W) → (B, 3, H, W)."""
    return torch.einsum("ij,bjhw->bihw", TO_RGB.to(x), x)


def dct(x: Tensor) -> Tensor:
    """Orthonormal DCT of 8×8 blocks: (B, C, H, W), sides multiples of 8, → (B, C, H/8, W/8, 8, 8)."""
    batch, channels, height, width = x.shape
    blocks = x.view(batch, channels, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    matrix = _matrix().to(x)
    return matrix @ blocks @ matrix.T


def inverse_dct(coefficients: Tensor) -> Tensor:
    """The inverse of ``dct``: (B, C, H/8, W/8, 8, 8) → (B, C, H, W)."""
    batch, channels, rows, columns = coefficients.shape[:4]
    matrix = _matrix().to(coefficients)
    blocks = matrix.T @ coefficients @ matrix
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(batch, channels, 8 * rows, 8 * columns)


@lru_cache(maxsize=1)
def _matrix() -> Tensor:
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    matrix = torch.cos((2 * n + 1) * k * math.pi / 16) / 2
    matrix[0] /= 2**0.5
    return matrix


def smooth_inverse(x: Tensor) -> Tensor:
    """Inverts x_k = 0.75 s_k + 0.125 (s_{k−1} + s_{k+1}) along the last axis, (…, n) → (…, n).

    A decoder with a triangle filter doubles the number of samples s. The means of the resulting pairs are these x. The
    system is tridiagonal. A short filter solves it, since its inverse decreases by a factor of 6 from value to value.
    """
    ratio = 8**0.5 - 3  # root of r² + 6r + 1
    reach = min(12, x.shape[-1])
    taps = torch.tensor([ratio ** abs(k) for k in range(-reach, reach + 1)], dtype=x.dtype, device=x.device)
    flat = x.reshape(-1, 1, x.shape[-1])
    # The neighbor beyond an end has the value of the end, so the mirror repeats it.
    mirrored = torch.cat([flat[..., :reach].flip(-1), flat, flat[..., -reach:].flip(-1)], dim=-1)
    return torch.nn.functional.conv1d(mirrored, (taps / taps.sum()).view(1, 1, -1)).reshape(x.shape)


def truncated_mean(d: Tensor, low: Tensor, high: Tensor, e: Tensor) -> Tensor:
    """Mean of N(d, e²) truncated to [low, high]; the nearest end if d is far from the interval. Arguments broadcast."""
    a, b = ((low - d) / e).double(), ((high - d) / e).double()
    flip = (a + b) > 0  # by symmetry, use the lower tail, where differences of ndtr do not cancel
    a, b = torch.where(flip, -b, a), torch.where(flip, -a, b)
    mass = torch.special.ndtr(b) - torch.special.ndtr(a)
    mean = (torch.exp(-a * a / 2) - torch.exp(-b * b / 2)) / math.sqrt(2 * math.pi) / mass.clamp_min(1e-30)
    mean = torch.where(mass > 1e-20, mean, b).clamp(a, b)
    return d + (e * torch.where(flip, -mean, mean)).to(d)
