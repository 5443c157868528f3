"""The three stages of guidance, their boundaries, and the losses that act in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceLoss
from zeroair_pl.ranges import Range, ranged

Stage = Literal["I", "II", "III"]


@dataclass(frozen=True)
class Boundaries:
    """Where one stage ends and the next begins, as fractions of the prior's schedule (1 is pure noise, 0 is clean).

    Args:
        global_content: between stage I (global layout and color) and stage II (perceptual content).
        content_detail: between stage II and stage III (detail).
    """

    global_content: float = 0.7
    content_detail: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.content_detail <= self.global_content <= 1:
            raise ConfigError(
                "boundaries: expected 0 <= content_detail <= global_content <= 1, "
                f"got content_detail={self.content_detail} and global_content={self.global_content}"
            )

    def stage(self, fraction: float) -> Stage:
        """The stage at the noise level t/T = ``fraction``; a boundary belongs to the earlier (noisier) stage."""
        if fraction >= self.global_content:
            return "I"
        return "II" if fraction >= self.content_detail else "III"


@dataclass(frozen=True)
class StageWeights:
    """A loss's weight in each stage; zero switches it off there."""

    I: float = 0.0  # noqa: E741 - the paper's name of the stage
    II: float = 0.0
    III: float = 0.0


@ranged("terms")
@dataclass
class Term:
    """One loss and when it acts.

    Args:
        loss: the loss.
        weight: one number for all stages, or a number for each.
        ramp: in stage I, let the weight rise linearly from 0 at pure noise to 1 at the stage's end (the paper's w(t)).
    """

    loss: GuidanceLoss
    weight: Annotated[float | StageWeights, Range(0)] = 1.0
    ramp: bool = False

    def weight_at(self, stage: str, fraction: float, boundaries: Boundaries) -> float:
        """The weight at the noise level ``fraction`` of ``stage``."""
        weight = self.weight if isinstance(self.weight, (int, float)) else getattr(self.weight, stage)
        if self.ramp and stage == "I":
            weight *= min(1.0, (1 - fraction) / max(1 - boundaries.global_content, 1e-6))
        return float(weight)

    @property
    def name(self) -> str:
        """How the loss is called in logs."""
        return self.loss.name


def acting(terms: Sequence[Term], stage: str, fraction: float, boundaries: Boundaries) -> list[tuple[Term, float]]:
    """The terms with a non-zero weight at the noise level ``fraction`` of ``stage``, and these weights."""
    weighted = [(term, term.weight_at(stage, fraction, boundaries)) for term in terms]
    return [(term, weight) for term, weight in weighted if weight]
