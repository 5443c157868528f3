"""Which files beside a photo a degradation uses: a mask of missing pixels, a blur kernel."""

from __future__ import annotations

from zeroair_pl.degradations.auto import Auto
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.blur import Blur
from zeroair_pl.degradations.missing import Missing
from zeroair_pl.errors import did_you_mean

USERS: dict[str, tuple[type[Degradation], str]] = {"missing": (Missing, "inpaint"), "kernel": (Blur, "deblur")}
OTHERS = ("mask", "jpeg", "exposure")  # side information that goes with any degradation


def unused(phi: Degradation, name: str) -> str:
    """Why the side information ``name`` would be ignored, and what would use it; ``""`` if it is used.

    A file that is ignored without a word leaves a hole in a photo that counts as restored. A plugin may use anything.
    """
    links = [each for each in phi.modules() if isinstance(each, Degradation)]
    if name in OTHERS or not all(type(each).__module__.startswith("zeroair_pl.") for each in links):
        return ""
    if name not in USERS:
        return f"no degradation uses it.{did_you_mean(name, (*USERS, *OTHERS))}"
    kind, config = USERS[name]
    if any(isinstance(each, kind) for each in links):
        return ""
    named = "'auto'" if any(isinstance(each, Auto) for each in links) else phi.kind
    return f"{named} does not use it; expected the config {config}, or a chain with {kind.__name__}."
