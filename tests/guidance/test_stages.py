"""Where the stages end, and how a weight is read from a stage and a noise level."""

from __future__ import annotations

import pytest

from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance import Fidelity
from zeroair_pl.guidance.stages import Boundaries, StageWeights, Term, acting


@pytest.mark.parametrize(
    "t, stage",
    [(999, "I"), (700, "I"), (699, "II"), (50, "II"), (49, "III"), (0, "III")],
)
def test_the_papers_stages_are_the_default(t: int, stage: str) -> None:
    """Table of the paper: I from 999 to 700, II to 50, III to 0, here as fractions of 999."""
    assert Boundaries().stage(t / 999) == stage


def test_boundaries_may_close_a_stage() -> None:
    assert {Boundaries(1.0, 0.0).stage(f) for f in (0.99, 0.5, 0.0)} == {"II"}
    assert Boundaries(0.0, 0.0).stage(0.0) == "I"


@pytest.mark.parametrize("wrong", [(0.05, 0.7), (1.1, 0.5), (0.5, -0.1)])
def test_impossible_boundaries_are_refused_with_their_values(wrong: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=f"content_detail={wrong[1]} and global_content={wrong[0]}"):
        Boundaries(*wrong)


def test_a_number_acts_in_all_stages_and_a_stage_weight_in_its_own() -> None:
    boundaries = Boundaries()
    everywhere, content = Term(Fidelity(), 0.5), Term(Fidelity(), StageWeights(II=2.0))
    moments = [(boundaries.stage(fraction), fraction) for fraction in (0.9, 0.5, 0.01)]
    assert [everywhere.weight_at(*moment, boundaries) for moment in moments] == [0.5, 0.5, 0.5]
    assert [content.weight_at(*moment, boundaries) for moment in moments] == [0.0, 2.0, 0.0]


def test_the_ramp_rises_linearly_through_stage_one_and_is_over_then() -> None:
    term, boundaries = Term(Fidelity(), StageWeights(2.0, 1.0, 1.0), ramp=True), Boundaries(0.6, 0.1)
    weights = [term.weight_at("I", fraction, boundaries) for fraction in (1.0, 0.9, 0.8, 0.7, 0.6)]
    assert weights == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    assert term.weight_at("II", 0.59, boundaries) == 1.0


def test_a_weight_of_zero_does_not_act() -> None:
    terms = [Term(Fidelity(), StageWeights(II=1.0)), Term(Fidelity("x0"), 0.3, ramp=True)]
    assert acting(terms, "I", 1.0, Boundaries()) == []
    assert [weight for _, weight in acting(terms, "II", 0.5, Boundaries())] == [1.0, 0.3]
