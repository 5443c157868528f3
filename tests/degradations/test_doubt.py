"""A doubtful correction changes a photo little, a sure one is not held back."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from helpers.scenes import PHOTOS, clean
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Haze, LowLight, Underwater
from zeroair_pl.degradations.doubt import ANY, CLEAR, allowed, bounded, change
from zeroair_pl.degradations.picture import looked_at


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("family", [Haze, LowLight, Underwater])
@pytest.mark.parametrize("severity", [0.1, 0.5, 1.0])
def test_a_photo_changes_no_more_than_the_doubt_allows(name: str, family: type, severity: float) -> None:
    small = looked_at(0.5 * clean(name) + 0.1)
    share = bounded(family, small, 1.0, severity, blurred)
    assert 0 < share <= 1
    assert change(family, small, share, blurred) < 1.1 * allowed(severity)
    if share < 1:
        assert change(family, small, share, blurred) > 0.8 * allowed(severity), "and not much less"


def test_a_sure_correction_is_not_bounded() -> None:
    small = looked_at(0.5 * clean("haze_workshop") + 0.43)
    assert bounded(Haze, small, 1.0, ANY[0], blurred) == 1
    assert bounded(Haze, small, 0.7, 5.0, blurred) == 0.7


def test_what_is_allowed_grows_with_the_severity_without_jumps() -> None:
    steps = torch.linspace(0, 2, 201)
    values = [allowed(float(s)) for s in steps]
    assert all(0 <= b - a < 0.02 for a, b in pairwise(values))
    assert allowed(1.0) == CLEAR[1]


def test_weak_evidence_gives_a_correction_that_is_small_but_not_none() -> None:
    assert -20 * math.log10(allowed(0.1)) < 41  # a change of two steps of 8 bits
    assert -20 * math.log10(allowed(0.5)) > 33
