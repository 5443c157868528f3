"""The project's example photos, made small, for tests that add a degradation to them."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.priors import UNetPrior

CLEAN = Path(__file__).parents[2] / "examples" / "clean"
PHOTOS = sorted(path.stem for path in CLEAN.glob("*.png"))


@cache
def clean(name: str, side: int = 96) -> Tensor:
    """An example photo with a short side of ``side`` pixels, (1, 3, H, W)."""
    image = Image.open(CLEAN / f"{name}.png").convert("RGB")
    scale = side / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255


@cache
def bundled() -> UNetPrior:
    return UNetPrior()


@cache
def crop(name: str, side: int = 128) -> Tensor:
    """The middle of an example photo at its own resolution, (1, 3, side, side)."""
    x = clean(name, min(Image.open(CLEAN / f"{name}.png").size))
    top, left = (x.shape[-2] - side) // 2, (x.shape[-1] - side) // 2
    return x[..., top : top + side, left : left + side]


def noisy(x: Tensor, sigma: float, seed: int = 1) -> Tensor:
    return (x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


def image_of(x: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1], rounded to 8 bits."""
    return Image.fromarray((x[0].permute(1, 2, 0) * 255).round().byte().numpy())


def as_jpeg(x: Tensor, quality: int, **options: int) -> tuple[bytes, Tensor]:
    """The bytes of the photo as a JPEG, and what a decoder makes of them, (1, 3, H, W)."""
    data = io.BytesIO()
    image_of(x).save(data, "JPEG", quality=quality, **options)
    decoded = torch.from_numpy(np.asarray(Image.open(data).convert("RGB")).copy())
    return data.getvalue(), decoded.permute(2, 0, 1)[None].float() / 255


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * (a - b).square().mean().log10())
