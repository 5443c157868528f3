"""What a degradation says of itself, tried on a photo: a plugin whose word is false would spoil every result unseen."""

from __future__ import annotations

import copy
from weakref import WeakSet

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.errors import ConfigError

MOVED = 0.2  # of every parameter: at its start a φ may well be the identity, of which all is true
_kept: WeakSet[type] = WeakSet()


def check_once(phi: Degradation, y: Tensor) -> None:
    """Tries the promises of a class on the first photo ``y`` (1, 3, H, W) that one of it is made for.

    Raises:
        ConfigError: one is broken.
    """
    if type(phi) in _kept:
        return
    if broken := broken_promise(phi, y):
        raise ConfigError(f"degradation: {type(phi).__name__} {broken}.")
    _kept.add(type(phi))


def broken_promise(phi: Degradation, y: Tensor) -> str:
    """What a φ that says ``pointwise`` does and no pointwise φ does; empty if nothing.

    Half of its values are summed. The gradient of the sum is zero in all pixels and channels that the others come from.
    """
    if not phi.pointwise:
        return ""
    phi = copy.deepcopy(phi)
    with torch.no_grad():
        for p in phi.parameters():
            p.add_(MOVED)
        x = phi.invert(y).clamp(0, 1)
        error = float((phi.invert(phi(x)) - x).abs().mean())
    chosen = torch.rand(y.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    with torch.enable_grad():
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(phi(x)[chosen].sum(), x)
    own, others = (float(gradient[mask].abs().max()) for mask in (chosen, ~chosen))
    if others > 1e-4 * own:
        return "says pointwise = True, but a value of forward(x) depends on other pixels or channels of x"
    if error > 0.005:
        return f"says pointwise = True, but invert(forward(x)) differs from x, by {error:.2g} in the mean"
    return ""
