"""The contract of adaptations, checked on a small network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call


def nothing_at_first(kind: Any) -> None:
    """changes nothing before it has learned"""
    adaptation, network, x = kind(), _network(), _image()
    learned = adaptation.start(network, torch.Generator().manual_seed(0))
    found = functional_call(network, adaptation.weights(network, learned), (x,))
    assert torch.equal(found, network(x)), "the network's output differs at the start"


def learns(kind: Any) -> None:
    """has quantities with finite gradients, not all zero, and leaves the network alone"""
    adaptation, network, x = kind(), _network(), _image()
    before = [value.clone() for value in network.state_dict().values()]
    learned = [v.requires_grad_() for v in adaptation.start(network, torch.Generator().manual_seed(0))]
    assert learned, "has nothing to learn"
    loss = functional_call(network, adaptation.weights(network, learned), (x,)).square().mean()
    gradients = torch.autograd.grad(loss, learned, allow_unused=True)
    known = [each for each in gradients if each is not None]
    assert any(bool(each.any()) for each in known), "no quantity changes the output"
    assert all(bool(each.isfinite().all()) for each in known), "has a gradient that is not finite"
    assert all(map(torch.equal, before, network.state_dict().values())), "changes the network's own weights"


def _network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 3, 3, padding=1))
    return network.requires_grad_(False)


def _image() -> torch.Tensor:
    return torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(1))


CHECKS: list[Callable[[Any], None]] = [nothing_at_first, learns]
