"""Metrics of restored photos, with a reference and without one; one value for each image.

``psnr`` and ``ssim_paper`` follow the paper's protocol, which scores 8-bit files: both round their inputs to 8 bits.
``ssim`` does not round. ``lpips`` needs the weights of a network, and does not download them. ``noise`` and ``blur``
need no reference.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.guidance.trunks import lpips_network

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

    Gaussian window 11 x 11 with sigma 1.5, only windows inside the image; C1 = (0.01 * 255)^2,
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


def lpips(a: Tensor, b: Tensor) -> Tensor:
    """Learned perceptual distance (Zhang et al., CVPR 2018), version 0.1 with AlexNet, from the ``lpips`` package.

    Args: two (B, 3, H, W) in [0, 1], sides >= 32 px. Returns (B,), 0 for equal images; less is better.
    Raises InputError if sizes differ or a side is too short, ConfigError if ``lpips_weights()`` does not exist or is
    damaged.
    """
    _check(a, b)
    if min(a.shape[-2:]) < LPIPS_SIDE:
        raise InputError(f"LPIPS needs sides of at least {LPIPS_SIDE} px, not {a.shape[-1]}x{a.shape[-2]} px.")
    network = _lpips(lpips_weights()).to(a.device)
    with torch.no_grad():  # one by one, so that a score does not depend on the batch
        each = [network(*pair, normalize=True).flatten() for pair in zip(a.split(1), b.split(1), strict=True)]
    return torch.cat(each).float()


LPIPS_SIDE = 32  # px; AlexNet's strides leave nothing of less


def lpips_weights() -> Path:
    """Where torchvision keeps AlexNet's weights: in ``checkpoints/`` of torch's hub folder (``TORCH_HOME``)."""
    from torchvision.models import AlexNet_Weights

    return Path(torch.hub.get_dir()) / "checkpoints" / AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2]


def noise(x: Tensor) -> Tensor:
    """Noise in units of 1/255, by Immerkær's fast estimate (CVIU 64, 1996), the mean over R, G and B.

    sqrt(pi/2) times the mean of |x * N| / 6 with N = [1 -2 1; -2 4 -2; 1 -2 1], which is 0 for ramps and for straight
    horizontal and vertical edges. White noise of standard deviation s has the score 255 s. Fine texture counts as
    noise, and correlated noise counts for less. So compare only results of the same photo.

    Args: (B, 3, H, W) in [0, 1], sides >= 3 px. Returns (B,), at least 0; no reference is needed.
    """
    ramp = x.new_tensor([1.0, -2.0, 1.0])
    kernel = torch.outer(ramp, ramp)[None, None]
    detail = F.conv2d(x.detach().float().flatten(0, 1)[:, None], kernel).abs().mean((1, 2, 3)) / 6
    return 255 * math.sqrt(math.pi / 2) * detail.view(len(x), -1).mean(1)


def blur(x: Tensor) -> Tensor:
    """Perceptual blur, 0 sharp to 1 blurred (Crete et al., "The blur effect", SPIE HVEI 2007).

    The share of the luma's variation between neighbors that a mean over 9 pixels keeps, along rows or along columns,
    whichever is larger. Noise counts as sharpness. A constant image has the score 1.

    Args: (B, 3, H, W) in [0, 1]. Returns (B,); no reference is needed.
    """
    y = _luma(x.detach().double())
    return torch.maximum(_blur_of_rows(y), _blur_of_rows(y.transpose(2, 3))).float()


def _blur_of_rows(y: Tensor) -> Tensor:
    smooth = F.avg_pool2d(F.pad(y, [4, 4, 0, 0], mode="replicate"), (1, 9), stride=1)
    before, after = y.diff(dim=3).abs(), smooth.diff(dim=3).abs()
    lost = (before - after).clamp(min=0).sum((1, 2, 3))
    whole = before.sum((1, 2, 3))
    return torch.where(whole > 0, 1 - lost / whole.clamp(min=1e-12), 1.0)


@lru_cache(maxsize=1)
def _lpips(weights: Path) -> Any:
    """The network with its trunk from the file; otherwise the package would download it."""
    return lpips_network("alex", weights)


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
