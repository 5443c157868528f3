"""The contract of priors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.checks.samples import expect_image, photos


def any_size(kind: Any) -> None:
    """gives a clean estimate in [0, 1], without gradient, for images of any size"""
    prior = kind()
    for size in ((16, 16), (17, 23), (48, 32)):
        x = noisy(photos(2, *size), 0.5)
        x0 = prior.denoise(x, torch.full((2,), 0.5))
        expect_image(x0, x.shape)
        assert x0.dtype == torch.float32, f"gives {x0.dtype}"
        assert x0.device == prior.device, f"answers on {x0.device}, its device is {prior.device}"
        assert not x0.requires_grad, "has a gradient"


def denoises(kind: Any) -> None:
    """takes more than half of the noise's power away"""
    prior, clean = kind(), photos(1, 48, 48)
    x = noisy(clean, 0.15)
    after = prior.denoise(x, torch.tensor([0.15])) - clean
    left = float(after.square().mean() / (x - clean).square().mean())
    assert left < 0.5, f"leaves {100 * left:.0f} % of it"


def any_batch(kind: Any) -> None:
    """gives an image the same bits in any batch on a CPU"""
    prior = kind()
    x, sigma = noisy(photos(3, 24, 40), 0.4), torch.full((3,), 0.4)
    batch = prior.denoise(x, sigma)
    assert torch.equal(prior.denoise(x[1:2], sigma[:1]), batch[1:2]), "other bits than alone"
    assert torch.equal(prior.denoise(x.flip(0), sigma).flip(0), batch), "other bits in another order"


def own_level(kind: Any) -> None:
    """gives each image of a batch its own noise level"""
    prior, x = kind(), photos(2, 24, 24)
    both = prior.denoise(x, torch.tensor([0.01, 2.0]))
    assert torch.equal(prior.denoise(x[1:], torch.tensor([2.0])), both[1:]), "the level of another image counts"


def error_grows(kind: Any) -> None:
    """states an error that grows with the noise"""
    errors = kind().rmse(torch.tensor([0.01, 0.1, 1.0])).tolist()
    assert 0 < errors[0] < errors[1] < errors[2] <= 0.5, f"{errors} at 0.01, 0.1 and 1"


def frozen(kind: Any) -> None:
    """is not a module, and has no weights that could be trained"""
    prior = kind()
    assert not isinstance(prior, torch.nn.Module), "is a module: each checkpoint would carry it"
    for value in vars(prior).values():
        if isinstance(value, torch.nn.Module):
            assert not value.training, "is in training mode"
            assert not [p for p in value.parameters() if p.requires_grad], "has weights with gradients"


def noisy(clean: Tensor, sigma: float) -> Tensor:
    """Clean images with white noise of that standard deviation."""
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))


CHECKS: list[Callable[[Any], None]] = [any_size, denoises, any_batch, own_level, error_grows, frozen]
