"""Photos of one size on a CPU: each is computed by itself, and no other photo of the batch changes its result."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from helpers.fitting import CASES, hazy, method
from helpers.moments import names, photos
from zeroair_pl.degradations import Denoise, Noise, Side
from zeroair_pl.errors import DivergenceError
from zeroair_pl.method.solve import solve

pytestmark = pytest.mark.filterwarnings("ignore:__array")  # numpy's, about diffusers


@pytest.mark.parametrize("case", ["low light", "bundled prior"])
def test_a_photo_has_the_same_result_in_any_company_and_order(case: str) -> None:
    y, called = hazy(3, 21, 27), names(3)
    together, alone = solve(y, called, CASES[case]()), solve(y[1:2], called[1:2], CASES[case]())
    assert not torch.equal(together.restored[0], together.restored[1])
    assert torch.equal(alone.restored, together.restored[1:2])
    assert torch.equal(alone.noise_level, together.noise_level[1:2])
    assert alone.nfe == together.nfe[1:2]
    assert alone.diagnostics[0].keys() == together.diagnostics[1].keys()
    turned = solve(y[[2, 0]], [called[2], called[0]], CASES[case]())
    assert torch.equal(turned.restored, together.restored[[2, 0]])


class BreaksOnBright(Noise):
    """Turns to NaN for the brighter of two photos."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.factor = float("nan") if float(y.mean()) > 0.5 else 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_a_fit_that_diverges_costs_its_photo_and_no_other() -> None:
    said = r"^bright\.png: BreaksOnBright\.forward is not finite$"
    y, called = torch.stack([0.6 + 0.3 * photos(1)[0], 0.3 * photos(1)[0]]), ["bright.png", "dark.png"]
    together = solve(y, called, method(BreaksOnBright))
    assert list(together.lost) == [0]
    assert re.match(said, together.lost[0])
    assert torch.equal(together.restored[1:], solve(y[1:], called[1:], method(BreaksOnBright)).restored)
    with pytest.raises(DivergenceError, match=said) as caught:
        solve(y[[0, 0]], ["bright.png", "light.png"], method(BreaksOnBright))
    assert list(caught.value.lost) == [0, 1]
