"""Which family a photo shows most, how strongly, and why: the decision of ``Auto``."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.clearing import visible
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.light import belief
from zeroair_pl.degradations.low_light import LowLight
from zeroair_pl.degradations.recognition import look_for, scene
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.degradations.underwater import Underwater
from zeroair_pl.photos.exposure import Exposure

FAMILIES: tuple[type[Degradation], ...] = (LowLight, Haze, Underwater)
LEAST = 0.03  # a severity, and a share, up to this counts as 0
UNLIT = 0.42, 0.34  # brightest values of a photo that has light, and of one with noise that lacks it
DIM = 0.60, 0.50  # the same of a photo with haze
VEILED = 0.15  # severity of haze from which on a photo without lights counts as one in haze
SURE = 2.0  # severity of darkness that visible noise or haze without any light shows
# Severity of darkness up to which blue light is a sign of water, and from which on it is none. Of 420 photos under
# water, real and composed, the darkest has 0.3.
DEEP = 0.5, 1.5
RIVAL = 0.7  # share of the largest severity; a second largest below it does not reduce the correction


def most(small: Tensor, sigma: float, exposure: Exposure | None = None) -> tuple[type[Degradation], float, float, str]:
    """The family that a photo shows most, the share to correct, how severe it is, and the evidence in words.

    A camera brightens a weak signal, with its noise. So a photo whose brightest values are low lacks light if it has
    visible noise, and shows more than a few stars, or if it has haze, which is bright by day. (Of 110 ordinary photos,
    the darkest one's brightest value is 0.62. A dark drawing or a dim screen has neither noise nor haze.)

    Args:
        small: the photo, as ``looked_at``.
        sigma: standard deviation of its noise.
        exposure: what its camera noted, if it did.
    """
    values = statistics(small)
    beliefs = {each: belief(each.__name__, small, values["bright_999"], exposure) for each in FAMILIES}
    found = {family: beliefs[family][0] * family.severity(small) for family in FAMILIES}
    found[Underwater] *= 1 - ramp(found[LowLight], *DEEP)
    best = max(found, key=lambda family: found[family])
    share = trusted(list(found.values()))
    why = ", ".join(filter(None, [look_for(best.__name__, small).why, beliefs[best][1]]))
    noisy = beliefs[LowLight][0] * visible(sigma) * scene(values) * ramp(values["bright_999"], *UNLIT)
    hazy = beliefs[LowLight][0] * ramp(found[Haze], LEAST, VEILED) * ramp(values["bright_999"], *DIM)
    own = share if best is LowLight else 0.0
    dim = 1 - (1 - own) * (1 - noisy) * (1 - hazy)  # signs that do not depend on each other add up
    if dim > 0.99 * share and found[Underwater] <= max(found[Haze], found[LowLight]):  # between equals, it is dark
        if max(noisy, hazy) > own:
            why = "darkness: nothing is bright, and there is " + ("noise" if noisy > hazy else "a veil")
        return LowLight, dim, found[LowLight] + SURE * max(noisy, hazy), why
    return best, share, found[best], why


def trusted(severities: list[float]) -> float:
    """The share to correct, 0 to 1, from the severities of all families.

    It is the largest severity if no other is close to it, and falls to 0 if the two largest are equal.
    """
    *_, second, most = sorted([0.0, *severities])
    if most <= LEAST:
        return 0.0
    return min(1.0, (most - LEAST) / (1 - LEAST)) * min(1.0, (1 - second / most) / (1 - RIVAL))
