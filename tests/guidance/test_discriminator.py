"""The paper's two networks, and the adversarial objectives."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from zeroair_pl.degradations import Neural
from zeroair_pl.guidance import Adversarial
from zeroair_pl.guidance.discriminator import (
    Objective,
    PatchDiscriminator,
    accuracy,
    discriminator_loss,
    generator_loss,
)
from zeroair_pl.method.restoration import discriminator_losses

OBJECTIVES = get_args(Objective)


def convolutions(module: Any) -> list[nn.Conv2d]:
    return [m for m in module.net if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize(
    "kind, parameters, shapes, stride",
    [
        (Neural, 371_587, [(64, 3, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3), (3, 256, 1, 1)], 1),
        (PatchDiscriminator, 371_073, [(64, 3, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3), (1, 256, 1, 1)], 2),
    ],
)
def test_the_networks_are_the_papers(kind: Any, parameters: int, shapes: list[tuple[int, ...]], stride: int) -> None:
    torch.manual_seed(0)
    module = kind()
    layers = convolutions(module)
    assert sum(p.numel() for p in module.net.parameters()) == parameters
    assert [tuple(layer.weight.shape) for layer in layers] == shapes
    assert [layer.stride for layer in layers] == [(stride, stride)] * 3 + [(1, 1)]
    assert [m.negative_slope for m in module.net if isinstance(m, nn.LeakyReLU)] == [0.01] * 3
    assert not isinstance(module.net[-1], (nn.Sigmoid, nn.LeakyReLU)), "the output is linear"
    for layer in layers:
        fan_in = layer.weight[0].numel()
        assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_in), rel=0.15)  # Kaiming normal
        assert layer.bias is not None
        assert not layer.bias.any()


def test_32_by_32_decisions_on_256_pixels() -> None:
    with torch.no_grad():
        assert PatchDiscriminator()(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 32, 32)


def logits(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone()


@pytest.mark.parametrize(
    "objective, discriminator, generator",
    [
        ("bce", math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-1.0)), math.log(1 + math.exp(1.0))),
        ("bce_logits", math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-1.0)), math.log(1 + math.exp(1.0))),
        ("wgan_softplus", math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-1.0)), 1.0),
        ("lsgan", 0.5**2 + 1.0, 4.0),
        ("hinge", 0.5 + 0.0, 1.0),
        ("wgan", -1.5, 1.0),
    ],
)
def test_objectives_are_the_textbook_formulas(objective: Any, discriminator: float, generator: float) -> None:
    """At a logit of 0.5 on real and −1 on fake."""
    real, fake = logits(0.5, 3.0), logits(-1.0, 2.0)
    assert float(discriminator_loss(real, fake, objective)[0]) == pytest.approx(discriminator, rel=1e-5)
    assert float(generator_loss(fake, objective)[0]) == pytest.approx(generator, rel=1e-5)
    assert discriminator_loss(real, fake, objective).shape == generator_loss(fake, objective).shape == (2,)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_game_has_the_right_signs(objective: Any) -> None:
    """Both players gain where their own side of the game is played better."""
    score = logits(0.2).requires_grad_()
    for loss, sign in (
        (discriminator_loss(score, logits(0.0), objective), -1),
        (discriminator_loss(logits(0.0), score, objective), 1),
        (generator_loss(score, objective), -1),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), score)
        assert bool((gradient * sign > 0).all())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_extreme_scores_stay_finite(objective: Any) -> None:
    extreme = logits(-200.0, 200.0).requires_grad_()
    loss = discriminator_loss(extreme, -extreme, objective).sum() + generator_loss(extreme, objective).sum()
    (gradient,) = torch.autograd.grad(loss, extreme)
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(gradient).all())


def test_accuracy_counts_patches() -> None:
    real, fake = logits(1.0, 1.0, -1.0), logits(-1.0, 1.0, 1.0)
    assert accuracy(real, fake).tolist() == [1.0, 0.5, 0.0]


def test_real_and_fake_weigh_alike_where_one_of_them_has_two_maps() -> None:
    loss = Adversarial("lsgan")
    assert float(discriminator_losses(logits(1.0), logits(0.0, 2.0), loss, 1)) == (0 + (0 + 4)) / 2
    assert float(discriminator_losses(logits(0.0, 3.0), logits(1.0), loss, 1)) == (1 + 4) / 2 + 1
    two = discriminator_losses(logits(1.0, 0.0), logits(0.0, 0.0, 2.0, 2.0), loss, 2)
    assert two.tolist() == [(0 + (0 + 4)) / 2, 1 + (0 + 4) / 2], "the maps come in blocks of all images"
