"""Photos without files and a prior without weights, for checks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.priors.vp import Prediction, VPPrior
from zeroair_pl.tensors.per_image import build_per_image


def toy_photo(height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """(1, 3, H, W) in [0, 1]: colored gradients and a few rectangles, different for every seed."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    slope = torch.rand(3, 3, generator=generator)
    photo = torch.stack([(a + b * rows + c * columns) / 3 for a, b, c in slope])
    for _ in range(6):
        top, left, tall, wide = torch.rand(4, generator=generator).tolist()
        down = slice(int(top * height), int((top + tall / 2) * height) + 1)
        across = slice(int(left * width), int((left + wide / 2) * width) + 1)
        photo[:, down, across] = torch.rand(3, 1, 1, generator=generator)
    return photo[None].clamp(0, 1)


def photos(count: int = 2, height: int = 32, width: int = 32) -> Tensor:
    """``count`` different toy photos, (B, 3, H, W)."""
    return torch.cat([toy_photo(height, width, seed) for seed in range(count)])


def degraded(height: int, width: int) -> Tensor:
    """(1, 3, H, W): a dim, noisy, low-contrast photo away from 0 and 1, so that nothing saturates."""
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(5))
    return (0.25 + 0.3 * toy_photo(height, width) + 0.03 * noise).clamp(0, 1)


def fitted_to(family: Any, y: Tensor, seed: int = 0) -> Any:
    """A fresh degradation for the photo ``y``, as a fit makes it."""
    phi: Any = next(iter(build_per_image(family, ["photo.png"], seed, "degradation")))
    phi.initialize(y, {}, blurred)
    return phi


def blurred(y: Tensor, sigma: float) -> Tensor:
    """A denoiser without weights, for ``initialize``: the mean of 3×3 pixels."""
    return F.avg_pool2d(F.pad(y, [1] * 4, mode="replicate"), 3, stride=1)


EXTREMES = {
    "black": torch.zeros(1, 3, 24, 24),
    "white": torch.ones(1, 3, 24, 24),
    "gray": torch.full((1, 3, 24, 24), 0.5),
    "one lit pixel": torch.zeros(1, 3, 24, 24).index_fill_(3, torch.tensor([7]), 1.0),
    "checkerboard": ((torch.arange(24)[:, None] + torch.arange(24)) % 2).float().expand(1, 3, 24, 24),
    "pure noise": torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)),
}


def expect_image(image: Tensor, shape: tuple[int, ...] | None = None, what: str = "", unit: bool = True) -> None:
    """Asserts that values are finite, of that shape, and in [0, 1] if ``unit``; ``what`` begins the messages."""
    what = f"{what} " if what else ""
    assert shape is None or tuple(image.shape) == tuple(shape), f"{what}makes {tuple(image.shape)} of {tuple(shape)}"
    assert bool(torch.isfinite(image).all()), f"{what}is not finite"
    if unit:
        assert float(image.min()) >= 0, f"{what}falls below 0"
        assert float(image.max()) <= 1, f"{what}exceeds 1"


class _Blurring(VPPrior):
    """A stand-in without weights: a blur that widens with the noise, shrunk as a posterior mean would be."""

    def __init__(self) -> None:
        self.name = "blurring"
        self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        with torch.no_grad():
            alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
            noise = ((1 - alpha_bar) / alpha_bar).sqrt()
            x = x_t / alpha_bar.sqrt()
            blurred = F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
            mixed = torch.lerp(x, blurred, (noise / 0.5).clamp(max=1))
            return Prediction((mixed / (1 + noise.square() / 25)).clamp(-1, 1))

    def features(self, x: Tensor) -> list[Tensor]:
        x = 2 * x - 1
        edges = torch.cat([x[..., 1:, 1:] - x[..., 1:, :-1], x[..., 1:, 1:] - x[..., :-1, 1:]], dim=1)
        return [edges, F.avg_pool2d(x, 4, ceil_mode=True)]
