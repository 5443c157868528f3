"""What every degradation family must keep, for each class in the package and in ``plugins/``."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from helpers.fitting import method as method_of
from helpers.registry import BROKEN, concrete
from helpers.toys import toy_photo
from zeroair_pl.checks import CHECKS, Check
from zeroair_pl.checks.samples import blurred, degraded
from zeroair_pl.degradations import Chain, Degradation, Haze, Noise
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.tensors.per_image import build_per_image


class HazeAndNoise(Chain):
    """A chain, which needs links."""

    def __init__(self) -> None:
        super().__init__([Haze, Noise])


FAMILIES = [cls for cls in concrete(Degradation, "degradations") if cls is not Chain] + [HazeAndNoise]

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda cls: cls.__name__)


def test_every_plugin_file_loads() -> None:
    assert not BROKEN


def test_families_are_found() -> None:
    assert {"Haze", "LowLight", "Neural", "Noise"} <= {cls.__name__ for cls in FAMILIES}


@every_family
@pytest.mark.parametrize("check", CHECKS["family"], ids=lambda check: check.__name__)
def test_contract(family: Any, check: Check) -> None:
    check(family)


@every_family
def test_members_can_be_computed_as_one(family: Any) -> None:
    """As accelerators do for a batch of photos; see ``stacks``. A family that cannot be is computed one by one there:
    right, but slow."""
    y = torch.cat([share * degraded(33, 48) for share in (1, 0.99, 0.98)])  # alike enough to be of one kind
    x = torch.cat([toy_photo(33, 48, seed).clamp(0.1, 0.9) for seed in range(3)])
    if family.learn is not Degradation.learn:  # it learns by itself, each photo's own: it is computed one by one
        module = Restoration(y, ["a.png", "b.png", "c.png"], method_of(family))
        module.stack()
        assert module.phi.whole is None
        return
    apart, together = (build_per_image(family, ["a.png", "b.png", "c.png"], 0, "degradation") for _ in range(2))
    for i in range(3):
        for group in (apart, together):
            group.each[i].initialize(y[i : i + 1], {}, blurred)
            with torch.no_grad():
                for k, p in enumerate(group.each[i].parameters()):
                    p.add_(0.02 * (i + 1) * (-1) ** k)  # learned
    methods = ["noise_level", "penalty", "invert", "first_estimate", "diagnostics"]
    together.stack(y, [*methods, "observe"] if family.pointwise else methods)
    assert together.whole is not None
    same = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    for method, image in (("forward", x), ("invert", y), ("first_estimate", y)):
        same(together.call(method, image), apart.call(method, image))
    for method in ("noise_level", "penalty"):
        same(together.call(method), apart.call(method))
    for one, other in zip(together.dicts("diagnostics"), apart.dicts("diagnostics"), strict=True):
        same(one, other)
    if family.pointwise:
        same(together.call("observe", y), apart.call("observe", y))
    gradients: list[Any] = []
    for group in (together, apart):
        variable = x.clone().requires_grad_()
        energies = group(variable).square().flatten(1).mean(1) + group.call("penalty") + group.call("noise_level")
        energies.sum().backward()
        gradients.append(variable.grad)
    same(*gradients)
    own = [{name: p.grad for name, p in phi.named_parameters()} for phi in apart]
    for name, p in together.whole.named_parameters():
        if not p.requires_grad:
            continue
        same(p.grad, torch.stack([each[name.replace("/", ".")] for each in own]))
