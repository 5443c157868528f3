"""Networks of several photos, computed as one or apart, and trained as a fit trains them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from helpers.moments import photos
from helpers.scenes import clean
from zeroair_pl.checks.samples import blurred
from zeroair_pl.tensors.per_image import PerImage, build_per_image

OPEN = torch.zeros(3, dtype=torch.bool)  # none of three photos is finished
METHODS = ["noise_level", "penalty", "invert", "first_estimate", "diagnostics"]  # as a fit tries them


def images(seed: int = 0, count: int = 3) -> Tensor:
    return torch.rand(count, 3, 12, 16, generator=torch.Generator().manual_seed(seed))


def mixed() -> Tensor:
    """Five photos, in which ``Auto`` finds: haze, darkness, haze, nothing, darkness."""
    first, _, third = photos(3, 20, 24)
    second, fifth = (0.16 * clean(name, 24)[0, :, :20, :24] ** 1.2 for name in ("dark_tulips", "noise_blossom"))
    return torch.stack([0.5 * first + 0.45, second, 0.4 * third + 0.5, first, fifth])


def members(y: Tensor, family: Callable[[], nn.Module]) -> PerImage:
    """A family's members for these photos, as a fit makes them."""
    phi = build_per_image(family, [f"{i}.png" for i in range(len(y))], 7, "degradation")
    for i, each in enumerate(phi):
        each.initialize(y[i : i + 1], {}, blurred)
    return phi


def together(group: PerImage, y: Tensor, methods: list[str] | None = None) -> PerImage:
    group.stack(y, methods or [])
    return group


def adam(group: PerImage) -> torch.optim.Optimizer:
    return torch.optim.Adam(group.parameters(), lr=1e-2)


def train(group: PerImage, x: Tensor, optimizer: Any, steps: int = 20, finished: Tensor = OPEN) -> None:
    """Towards the mirrored images."""
    for _ in range(steps):
        optimizer.zero_grad()
        losses = (group(x) - x.flip(-1)).square().flatten(1).mean(1)
        losses[~finished].sum().backward(inputs=group.trained(finished))
        with group.holding(finished):
            optimizer.step()


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))
