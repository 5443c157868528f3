"""The settings for a second attempt after a fit has diverged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroair_pl.method.settings import Method

SAFER = 0.1  # of the learning rate and of the guidance's scale


def safer(method: Method) -> tuple[Method, str]:
    """The method with smaller steps and float32 arithmetic, and the changes in words."""
    words = ["a tenth of the learning rate"]
    guidance, prior = method.guidance, method.prior
    if guidance.update is not None and (gentler := guidance.update.gentler(SAFER)) is not None:
        guidance = replace(guidance, update=gentler)
        words.append("a tenth of the guidance's scale")
    if (exact := prior.to_float32()) is not None:
        prior = exact
        words.append("float32 arithmetic")
    modeling = replace(method.modeling, lr=SAFER * method.modeling.lr)
    return replace(method, modeling=modeling, guidance=guidance, prior=prior), ", ".join(words)
