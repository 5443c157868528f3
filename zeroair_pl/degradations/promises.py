"""Checks of what a degradation class declares, such as ``pointwise``: a false declaration would spoil every result."""

from __future__ import annotations

import copy
from weakref import WeakSet

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.errors import ConfigError

MOVED = 0.2  # change of every parameter before the check: at its start, φ may be the identity, which passes any check
_kept: WeakSet[type] = WeakSet()


def check_once(phi: Degradation, y: Tensor) -> None:
    """Checks the class of ``phi`` on ``y`` (1, 3, H, W), once: on the first photo that the class is used for.

    The tests of this package check its own classes, so they are left out here: on a large photo the check needs
    gigabytes.

    Raises:
        ConfigError: a declaration is false.
    """
    links = [type(each).__module__ for each in phi.modules() if isinstance(each, Degradation)]
    if type(phi) in _kept or all(name.startswith("zeroair_pl.") for name in links):
        return
    if broken := broken_promise(phi, y):
        raise ConfigError(f"degradation: {type(phi).__name__} {broken}.")
    _kept.add(type(phi))


def broken_promise(phi: Degradation, y: Tensor) -> str:
    """What shows that a φ declared ``pointwise`` is not, in words; empty if nothing does.

    The gradient of the sum of half of the values of φ(x) must be zero at the pixels and channels of the other half, and
    φ⁻¹(φ(x)) must be x.
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
