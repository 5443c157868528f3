"""How near a restored photo is to its reference, one value per image.

``psnr`` and ``ssim_paper`` follow the paper's protocol, which scores 8-bit files: both round their inputs to the 256
steps of such a file first. ``ssim`` is the common one, on the values as they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zeroair_pl.errors import InputError

_LEAST_ERROR = 1e-9  # of the mean squared error on 0..255; equal images get 138.1 dB, not infinity, so that means exist


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE) over all RGB values, rounded to 8 bits.

    Args: two (B, 3, H, W) in [0, 1]. Returns (B,). Equal images give 138.1 dB. Raises InputError if sizes differ.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    a, b = _eight_bits(a), _eight_bits(b)
    _check(a, b)
    each = peak_signal_noise_ratio(a, b, data_range=255.0, reduction="none", dim=(1, 2, 3))
    return each.clamp(max=10 * math.log10(255**2 / _LEAST_ERROR)).float()


def ssim_paper(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity in the paper's protocol: luma Y = 0.299 R + 0.587 G + 0.114 B of 8-bit values.

    Gaussian window 11 x 11 with sigma 1.5, only where it lies inside the image; C1 = (0.01 * 255)^2,
    C2 = (0.03 * 255)^2 (Wang et al., "Image quality assessment", IEEE TIP 2004, eq. 13).

    Args: two (B, 3, H, W) in [0, 1], sides >= 11 px. Returns (B,), at most 1. Raises InputError if sizes differ.
    """
    _check(a, b)
    edge = 5  # of the 11 taps
    everywhere = _ssim(_luma(_eight_bits(a)), _luma(_eight_bits(b)), 255.0)
    return everywhere[..., edge:-edge, edge:-edge].mean((1, 2, 3)).float()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity with the same window over the whole image (reflected at its edges), mean of R, G and B.

    Args: two (B, 3, H, W) in [0, 1], sides >= 11 px. Returns (B,), at most 1. Raises InputError if sizes differ.
    """
    _check(a, b)
    return _ssim(a.detach(), b.detach(), 1.0).mean((1, 2, 3)).float()


def _ssim(a: Tensor, b: Tensor, data_range: float) -> Tensor:
    """The index at every pixel, (B, C, H, W)."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    # Double precision: variances are differences of nearly equal numbers.
    pair = structural_similarity_index_measure(
        a.double(), b.double(), sigma=1.5, data_range=data_range, reduction="none", return_full_image=True
    )
    assert isinstance(pair, tuple)
    return pair[1]


def _eight_bits(x: Tensor) -> Tensor:
    return (x.detach().double().clamp(0, 1) * 255).round()


def _luma(x: Tensor) -> Tensor:
    return torch.einsum("bchw,c->bhw", x, x.new_tensor([0.299, 0.587, 0.114]))[:, None]


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        height_a, width_a = a.shape[-2:]
        height_b, width_b = b.shape[-2:]
        raise InputError(
            f"Cannot compare an image of {width_a}x{height_a} px {tuple(a.shape)} "
            f"with one of {width_b}x{height_b} px {tuple(b.shape)}; their sizes must be equal."
        )
