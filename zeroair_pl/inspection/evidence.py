"""Explains the decision of ``auto``: how much a photo has of each family, and which statistics say so."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from zeroair_pl.degradations.choosing import FAMILIES
from zeroair_pl.degradations.light import belief
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.recognition import counts
from zeroair_pl.degradations.recognition_models import MODELS
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.degradations.streaks import Streaks
from zeroair_pl.photos.exposure import Exposure

MOST = 4  # the most statistics that are named for a family, and against it
_LEAST = 0.05  # a statistic that changes the log-odds by less is not named


@dataclass(frozen=True)
class Spoken:
    """A statistic of the photo.

    Attributes:
        name: of the statistic.
        value, usual: its value in this photo, and its mean over many photos.
        weight: what it adds to the log-odds that the photo has the family's degradation.
    """

    name: str
    value: float
    usual: float
    weight: float

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} {self.value:.2f} (usually {self.usual:.2f})"


@dataclass(frozen=True)
class Evidence:
    """The evidence for and against one family.

    Attributes:
        family: name of the class of degradation.
        severity: 0 to 1; 0 corrects nothing, 1 all that the family corrects at its start.
        speaks_for, speaks_against: the statistics with the largest weights, the largest first; at most 4 each.
    """

    family: str
    severity: float
    speaks_for: list[Spoken]
    speaks_against: list[Spoken]

    def __str__(self) -> str:
        sides = ("for it", self.speaks_for), ("against it", self.speaks_against)
        words = [f"{what}: {', '.join(map(str, spoken))}" for what, spoken in sides if spoken]
        return f"{self.family} {self.severity:.2f}; {'; '.join(words) or 'no statistic says more'}"


def evidence(y: Tensor, exposure: Exposure | None = None) -> list[Evidence]:
    """The evidence for each family of ``auto``, and for rain, in a photo (1, 3, H, W) in [0, 1]; the most severe first.

    If a family has several models for such a photo, the evidence is that of the one with the highest log-odds.
    ``exposure`` is what its camera noted.
    """
    small = looked_at(y)
    values = statistics(small)
    found = []
    for family in FAMILIES:
        spoken: list[Spoken] = []
        odds = float("-inf")
        for model in MODELS.get(family.__name__, ()):
            if counts(model, values) >= 0.5 and model.odds(values) > odds:
                odds = model.odds(values)
                parts = model.parts(values)
                spoken = [Spoken(name, values[name], model.terms[name][0], part) for name, part in parts.items()]
        spoken.sort(key=lambda each: -abs(each.weight))
        for_it = [each for each in spoken if each.weight > _LEAST][:MOST]
        against = [each for each in spoken if each.weight < -_LEAST][:MOST]
        severity = float(family.severity(small)) * belief(family.__name__, small, values["bright_999"], exposure)[0]
        found.append(Evidence(family.__name__, severity, for_it, against))
    found.append(Evidence(Streaks.__name__, Streaks.severity(y), [], []))
    return sorted(found, key=lambda each: -each.severity)
