"""Why ``auto`` takes a photo for what it is, in words."""

from __future__ import annotations

import pytest

from zeroair_pl.degradations.recognition_models import MODELS
from zeroair_pl.degradations.words import in_words

TERMS = sorted({name for models in MODELS.values() for model in models for name in model.terms})


@pytest.mark.parametrize("name", TERMS)
def test_every_statistic_of_a_model_has_words_for_either_side(name: str) -> None:
    above, below = in_words([(name, True)]), in_words([(name, False)])
    assert above
    assert below
    assert above != below
    assert not {"_", ","} & set(above + below)


def test_a_thing_is_said_once() -> None:
    told = [("darkest_top", True), ("luminance_01", True), ("lifted_range", True)]
    assert in_words(told) == "no shadows at the top, nothing is black"
