"""From which settings a fit that has lost its photo is tried once more."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from zeroair_pl.guidance.updates import GradientUpdate

if TYPE_CHECKING:
    from zeroair_pl.method.settings import Method

SAFER = 0.1  # of the learning rate and of the guidance's scale


def safer(method: Method) -> tuple[Method, str]:
    """The same with smaller steps and exact arithmetic, and what that is in words."""
    words = ["a tenth of the learning rate"]
    guidance, prior = method.guidance, method.prior
    if isinstance(guidance.update, GradientUpdate):
        update = copy.copy(guidance.update)
        update.scale *= SAFER
        guidance = replace(guidance, update=update)
        words.append("a tenth of the guidance's scale")
    if (exact := prior.exact()) is not None:
        prior = exact
        words.append("float32 arithmetic")
    modelling = replace(method.modelling, lr=SAFER * method.modelling.lr)
    return replace(method, modelling=modelling, guidance=guidance, prior=prior), ", ".join(words)
