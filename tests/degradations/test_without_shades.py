"""Auto leaves pictures without shades as they are: plain areas, masks, bilevel scans."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.scenes import clean
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Auto


def started(y: Tensor) -> Any:
    phi = Auto()
    phi.initialize(y, {}, blurred)
    return phi


def one_color(value: float) -> Tensor:
    return torch.full((1, 3, 60, 80), value)


@pytest.mark.parametrize(
    "photo",
    [
        one_color(0.0),
        torch.randint(0, 3, (1, 3, 60, 80), generator=torch.Generator().manual_seed(0)) / 255,
        (torch.rand(1, 1, 60, 80, generator=torch.Generator().manual_seed(1)) > 0.5).float().expand(-1, 3, -1, -1),
        torch.cat([one_color(0.0), one_color(0.8)], dim=-1),
    ],
    ids=["black", "nearly black", "bilevel", "mask"],
)
def test_a_picture_without_shades_stays_as_it_is(photo: Tensor) -> None:
    phi = started(photo)
    assert phi.untouched
    phi.measure_noise(photo, blurred)
    assert phi.untouched


def test_a_large_bilevel_scan_stays_as_it_is_although_its_small_copy_has_shades() -> None:
    scan = (clean("haze_workshop", 256).mean(1, keepdim=True) > 0.7).float().expand(-1, 3, -1, -1)
    phi = started(torch.nn.functional.avg_pool2d(scan, 4))
    phi.measure_noise(scan, blurred)
    assert phi.untouched
    assert torch.equal(phi.invert(scan), scan)
