"""What every prior must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.checks.samples import photos
from zeroair_pl.priors.base import Calibration, Prediction, Prior


class _Blurring(Prior):
    """A stand-in without weights: a blur that widens with the noise, shrunk as a posterior mean would be."""

    def __init__(self) -> None:
        self.name = "blurring"
        self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
        self.calibration = Calibration()

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        with torch.no_grad():
            alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
            noise = ((1 - alpha_bar) / alpha_bar).sqrt()
            x = x_t / alpha_bar.sqrt()
            blurred = F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
            mixed = torch.lerp(x, blurred, (noise / 0.5).clamp(max=1))
            return Prediction((mixed / (1 + noise.square() / 25)).clamp(-1, 1))

    def features(self, x: Tensor) -> list[Tensor]:
        edges = torch.cat([x[..., 1:, 1:] - x[..., 1:, :-1], x[..., 1:, 1:] - x[..., :-1, 1:]], dim=1)
        return [edges, F.avg_pool2d(x, 4, ceil_mode=True)]


def any_size(kind: Any) -> None:
    """gives a clean estimate in [-1, 1], without gradient, for images of any size"""
    prior = kind()
    for size in ((16, 16), (17, 23), (48, 32)):
        x = noisy(prior, photos(2, *size) * 2 - 1, 250.0)
        x0, variance = prior.predict(x, torch.full((2,), 250.0))
        assert x0.shape == x.shape, f"makes {tuple(x0.shape)} of {tuple(x.shape)}"
        assert x0.dtype == torch.float32, f"gives {x0.dtype}"
        assert bool(torch.isfinite(x0).all()), "is not finite"
        assert float(x0.abs().max()) <= 1, "leaves [-1, 1]"
        assert (variance is not None) == prior.learned_variance, "learned_variance is not what predict gives"
        assert not x0.requires_grad, "has a gradient"


def denoises(kind: Any) -> None:
    """takes more than half of the noise's power away"""
    prior, clean = kind(), photos(1, 48, 48) * 2 - 1
    x = noisy(prior, clean, 100.0)
    alpha_bar = float(prior.alpha_bar(torch.tensor(100.0)))
    before, after = x / alpha_bar**0.5 - clean, prior.predict(x, torch.tensor([100.0])).x0 - clean
    left = float(after.square().mean() / before.square().mean())
    assert left < 0.5, f"leaves {100 * left:.0f} % of it"


def no_company(kind: Any) -> None:
    """gives an image the same bits in any batch"""
    prior = kind()
    x, t = noisy(prior, photos(3, 24, 40) * 2 - 1, 400.5), torch.full((3,), 400.5)
    together = prior.predict(x, t).x0
    assert torch.equal(prior.predict(x[1:2], t[:1]).x0, together[1:2]), "other bits than alone"
    assert torch.equal(prior.predict(x.flip(0), t).x0.flip(0), together), "other bits in another order"


def own_level(kind: Any) -> None:
    """gives each image of a batch its own noise level"""
    prior, x = kind(), photos(2, 24, 24) * 2 - 1
    both = prior.predict(x, torch.tensor([20.0, 700.0])).x0
    assert torch.equal(prior.predict(x[1:], torch.tensor([700.0])).x0, both[1:]), "the level of another image counts"


def schedule(kind: Any) -> None:
    """has a schedule that falls, in double precision"""
    table = kind().alphas_cumprod
    assert table.dtype == torch.float64, f"is of type {table.dtype}"
    assert bool((table.diff() < 0).all()), "does not fall everywhere"


def frozen(kind: Any) -> None:
    """is no module, and has no weights that could be trained"""
    prior = kind()
    assert not isinstance(prior, torch.nn.Module), "is a module: each checkpoint would carry it"
    for value in vars(prior).values():
        if isinstance(value, torch.nn.Module):
            assert not value.training, "is in training mode"
            assert not [p for p in value.parameters() if p.requires_grad], "has weights with gradients"


def noisy(prior: Prior, clean: Tensor, t: float) -> Tensor:
    """Clean images in [-1, 1] at the noise level ``t``."""
    alpha_bar = float(prior.alpha_bar(torch.tensor(t)))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))
    return alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise


CHECKS: list[Callable[[Any], None]] = [any_size, denoises, no_company, own_level, schedule, frozen]
