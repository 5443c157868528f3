"""A degradation that says of itself what is not true is found out at its first photo, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.command import TOY, run, save_toy
from helpers.fitting import hazy, matched
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Auto, Degradation, Haze, LowLight, Neural, Noise, Underwater
from zeroair_pl.degradations.promises import broken_promise
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.fit import fit

OTHERS = "says pointwise = True, but a value of forward(x) depends on other pixels or channels of x"
WRONG_WAY_BACK = "says pointwise = True, but invert(forward(x)) differs from x"


class Gain(Degradation):
    """y = g·x + n, with g = 1 at the start; what a test changes of it."""

    pointwise = True

    def __init__(self) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.log_gain.exp() * x

    def invert(self, y: Tensor) -> Tensor:
        return y / self.log_gain.exp()


def variant(**methods: Callable[..., Any]) -> type[Gain]:
    return type("Mine", (Gain,), methods)


@pytest.mark.parametrize(
    ("family", "says"),
    [
        (variant(forward=lambda self, x: Gain.forward(self, x.flip(-1))), OTHERS),
        (variant(forward=lambda self, x: Gain.forward(self, x) + 0.01 * x.mean()), OTHERS),
        (variant(forward=lambda self, x: Gain.forward(self, x).lerp(x.mean(1, keepdim=True), 0.05)), OTHERS),
        (variant(forward=lambda self, x: Gain.forward(self, torch.lerp(x, x.roll(1, -1), 0.2))), OTHERS),
        (variant(invert=Degradation.invert), WRONG_WAY_BACK),
        (variant(invert=lambda self, y: y / (self.log_gain.exp() + 0.1)), WRONG_WAY_BACK),
    ],
    ids=["mirrored", "mean", "channels", "neighbors", "no invert", "wrong invert"],
)
def test_what_is_not_pointwise_is_found_out(family: type[Gain], says: str) -> None:
    phi = family()
    y = hazy(1)
    phi.initialize(y, {}, blurred)
    assert broken_promise(phi, y).startswith(says)
    with pytest.raises(ConfigError, match=r"^degradation: Mine says pointwise"):
        fit(y, ["a.png"], matched(family, steps=2))


@pytest.mark.parametrize("kind", ["a photo", "black", "white", "noise", "a tiny one"])
@pytest.mark.parametrize("family", [Gain, Haze, LowLight, Underwater, Noise, Auto, Neural])
def test_what_is_true_is_believed(family: Any, kind: str) -> None:
    y = {
        "a photo": hazy(1, 48, 40),
        "black": torch.zeros(1, 3, 32, 32),
        "white": torch.ones(1, 3, 32, 32),
        "noise": torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        "a tiny one": hazy(1, 16, 16),
    }[kind]
    phi = family()
    phi.initialize(y, {}, blurred)
    before = [p.clone() for p in phi.parameters()]
    assert broken_promise(phi, y) == ""
    assert all(torch.equal(a, b) for a, b in zip(before, phi.parameters(), strict=True)), "it changed the degradation"


def test_a_sensor_that_saturates_is_no_lie() -> None:
    """What is clipped has no way back, and need not: the photo does not have it."""

    class Saturated(Gain):
        def forward(self, x: Tensor) -> Tensor:
            return (1.5 * super().forward(x)).clamp(max=1)

        def invert(self, y: Tensor) -> Tensor:
            return super().invert(y) / 1.5

    phi = Saturated()
    y = hazy(1)
    phi.initialize(y, {}, blurred)
    assert broken_promise(phi, y) == ""


def test_a_run_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = [save_toy(tmp_path / "in" / name) for name in ("a.png", "b.png")]
    Path("plugins").mkdir()
    text = (
        "from zeroair_pl.degradations import Degradation\n\n\nclass Mirrored(Degradation):\n"
        '    """A photo in a mirror, y = x(-c) + n."""\n\n    pointwise = True\n\n    def forward(self, x):\n'
        "        return x.flip(-1)\n\n    def invert(self, y):\n        return y.flip(-1)\n"
    )
    Path("plugins/mirrored.py").write_text(text)
    done = run("restore", *TOY, "--degradation", "Mirrored", "--images", *photos, "--out", "out")
    assert done.status == 2
    assert f"error: degradation: Mirrored {OTHERS}.\n" in done.err
    assert not list(Path("out").rglob("*.png"))
    checked = run("plugins", "check", "Mirrored")
    assert checked.status == 1
    assert "FAILED  pointwise, batched and scales are true" in checked.out
    assert OTHERS in checked.out
