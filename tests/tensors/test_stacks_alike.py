"""Which networks may be computed as one, and that the results are right where they may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.fitting import method as method_of
from helpers.moments import Affine
from helpers.stacking import METHODS, adam, images, members, together, train
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Denoise, LowLight, Side
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.tensors.per_image import PerImage
from zeroair_pl.tensors.stacks import alike, stacked

NAMES = ["a.png", "b/c.png", "b/d.jpg"]


class Gain(Affine):
    """A network with a plain attribute beside its parameters."""

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) ** self.power


class Sees(Affine):
    """Does something else to bright images: a value decides."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if float(x.mean()) > 0.5 else self.offset * x


class Writes(Affine):
    """Writes the image into a tensor that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.canvas = torch.zeros(1, 3, 12, 16)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.canvas.zero_().add_(x)
        return self.gain * self.canvas + self.offset + 0 * x


class Grid(Affine):
    """A network whose number of values differs from photo to photo."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = nn.Parameter(torch.linspace(0, 0.1, cells))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.cells.mean()


class Mixes(Affine):
    """Adds what other images of a batch show, if it is let."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.1 * torch.rand(1).item()


def with_power(value: Any) -> Gain:
    made = Gain()
    made.power = value
    return made


def with_a_fixed_gain() -> Affine:
    made = Affine()
    made.gain.requires_grad_(False)
    return made


CASES: dict[str, tuple[Callable[[], list[Degradation]], bool]] = {
    "one kind": (lambda: [Affine(0.5), Affine(0.7), Affine(0.9)], True),
    "an attribute": (lambda: [Gain(1.0), Gain(2.0), Gain(1.0)], False),
    "an attribute that is no yes or no": (lambda: [with_power(torch.ones(16)) for _ in range(3)], False),
    "shapes": (lambda: [Grid(3), Grid(3), Grid(4)], False),
    "what is trained": (lambda: [Affine(), with_a_fixed_gain(), Affine()], False),
    "families": (lambda: [LowLight(), Affine(), Affine()], False),
    "a value decides": (lambda: [Sees(), Sees(), Sees()], False),
    "in place": (lambda: [Writes(), Writes(), Writes()], False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_may_be_stacked_and_its_results(case: str) -> None:
    x = images() * torch.tensor([0.3, 0.9, 1.1]).view(3, 1, 1, 1)
    made, one = CASES[case]
    apart, group = made(), PerImage(made())
    for module in (*apart, *group):
        module.initialize(x[:1], {}, blurred)
    group.stack(x, METHODS)
    assert (group.whole is not None) == one
    wanted = torch.cat([module(one) for module, one in zip(apart, x.split(1), strict=True)])
    torch.testing.assert_close(group(x), wanted, atol=1e-6, rtol=1e-5)
    shown = group(x)
    for i in range(3):
        for p in group.parameters():
            p.grad = None
        shown[i].square().mean().backward(retain_graph=True)
        wanted[i].square().mean().backward(retain_graph=True)
        gradients = {name: p.grad for name, p in apart[i].named_parameters()}
        module = group.own[i] if group.whole is None else group.whole
        for name, p in module.named_parameters():
            expected = gradients[name.replace("/", ".")]
            if expected is not None:
                assert p.grad is not None
                torch.testing.assert_close(p.grad[i] if one else p.grad, expected, atol=1e-6, rtol=1e-5)


class Tied(Degradation):
    """Two gains, which may be one."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor(0.5))
        self.second = self.first if tied else nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.first * x + self.second


def test_one_parameter_by_two_names_is_not_two_parameters() -> None:
    assert alike(Tied(True), Tied(True))
    assert alike(Tied(False), Tied(False))
    assert not alike(Tied(True), Tied(False))
    assert not alike(Tied(False), Tied(True))


class Spread(Affine):
    """Holds one number as three channels, without a copy."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.register_buffer("color", y.mean().expand(1, 3, 1, 1))


def test_a_buffer_without_memory_of_its_own_is_no_trouble() -> None:
    x = images()
    group, apart = together(members(x, Spread), x, METHODS), members(x, Spread)
    assert group.whole is not None
    train(group, x, adam(group), 3)
    group.apart()
    for mine, own in zip(group, apart, strict=True):
        assert torch.equal(mine.color, own.color)
        assert not torch.equal(mine.gain, own.gain)


class Odd(Affine):
    """Works with vmap, except for one method, which branches on a value."""

    looks = ""

    def invert(self, y: Tensor) -> Tensor:
        return super().invert(y) / self._seen("invert", y)

    def first_estimate(self, y: Tensor) -> Tensor:
        return y * self._seen("first_estimate", y)

    def diagnostics(self) -> dict[str, Tensor]:
        return {"gain": self.gain.view(1, 1, 1, 1) * self._seen("diagnostics", self.gain)}

    def _seen(self, method: str, x: Tensor) -> float:
        return 1 + float(x.detach().mean() > 0) if self.looks == method else 1.0


@pytest.mark.parametrize("method", ["invert", "first_estimate", "diagnostics"])
def test_whatever_a_fit_may_ask_for_is_tried(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the fit would fail in its middle, and each photo would be fitted alone."""
    monkeypatch.setattr(Odd, "looks", method)
    module = Restoration(images(), NAMES, method_of(Odd))
    module.stack()
    assert module.phi.whole is None
    module = Restoration(images(), NAMES, method_of(Affine))
    module.stack()
    assert module.phi.whole is not None


def test_a_trial_leaves_the_random_numbers_alone() -> None:
    x = images(count=2)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    stacked([Mixes(), Mixes()], x)
    assert torch.equal(torch.get_rng_state(), before)
