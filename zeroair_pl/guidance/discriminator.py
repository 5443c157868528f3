"""The patch discriminator of test-time degradation modeling, and its adversarial objectives."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Objective = Literal["bce", "bce_logits", "wgan_softplus", "lsgan", "hinge", "wgan"]


class PatchDiscriminator(nn.Module):
    """Classifies each patch as real or fake (ZeroAIR, arXiv 2312.02197): 3→64→128→256 (3×3, stride 2), →1 (1×1).

    Returns logits, (B, 1, H/8, W/8): 32×32 decisions on a 256×256 image; 371,073 parameters.
    """

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.LeakyReLU(0.01)]
            before = width
        self.net = nn.Sequential(*layers, nn.Conv2d(before, 1, 1))
        for module in self.net:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def discriminator_loss(real: Tensor, fake: Tensor, objective: Objective) -> Tensor:
    """The discriminator's loss, (B,), from its logits on real and fake images, (B, 1, h, w) each."""
    if objective == "bce":  # sigmoid, then BCE, as the paper has it: saturates where the logits version does not
        loss = _bce(real.sigmoid(), 1.0) + _bce(fake.sigmoid(), 0.0)
    elif objective in ("bce_logits", "wgan_softplus"):
        loss = F.softplus(-real) + F.softplus(fake)
    elif objective == "lsgan":
        loss = (real - 1).square() + fake.square()
    elif objective == "hinge":
        loss = F.relu(1 - real) + F.relu(1 + fake)
    else:
        loss = fake - real
    return loss.flatten(1).mean(1)


def generator_loss(fake: Tensor, objective: Objective) -> Tensor:
    """The generator's loss, (B,), from the discriminator's logits on its images, (B, 1, h, w)."""
    if objective == "bce":
        loss = _bce(fake.sigmoid(), 1.0)
    elif objective == "bce_logits":
        loss = F.softplus(-fake)
    elif objective == "lsgan":
        loss = (fake - 1).square()
    else:  # wgan_softplus differs from bce_logits only here: its generator maximizes the raw score
        loss = -fake
    return loss.flatten(1).mean(1)


def accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """(B,): the share of patches that are classified correctly; 0.5 is chance."""
    right = torch.cat([(real > 0).flatten(1), (fake <= 0).flatten(1)], dim=1)
    return right.float().mean(1)


def _bce(probability: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy(probability, torch.full_like(probability, target), reduction="none")
