"""Automatic choice of the degradation: JPEG, specks, blur, rain and noise first, then what the photo shows most."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.chain import Chain
from zeroair_pl.degradations.clearing import LEFT, Cleared, cleared, faintly_unblocked, visible, without_noise
from zeroair_pl.degradations.doubt import CLEAR, SLIGHT, bounded
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.light import belief
from zeroair_pl.degradations.low_light import KEPT, LowLight
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.noise_level import estimate_noise_level, look_at_noise, rounding
from zeroair_pl.degradations.picture import has_shades, looked_at
from zeroair_pl.degradations.recognition import look_for, scene
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.degradations.underwater import Underwater
from zeroair_pl.photos.exposure import Exposure

FAMILIES: tuple[type[Degradation], ...] = (LowLight, Haze, Underwater)
LEAST = 0.03  # a severity, and a share, up to this counts as 0
# Learned noise level up to which noise is not removed. Two steps of 8 bits are 1.6 % of a mid gray; about there, an eye
# begins to see grain of single pixels on a screen. For clean photos, the learned level is 1.2 to 1.8 steps, since faint
# texture counts too. The lowest level of the photos with camera noise that were measured is 3.8 steps.
UNSEEN = 2 / 255
UNLIT = 0.42, 0.34  # brightest values of a photo that has light, and of one with noise that lacks it
DIM = 0.60, 0.50  # the same of a photo with haze
# 1/γ of the start for a dark photo with visible noise, which hides what a stronger curve would show. Its colors stay.
GENTLE = 0.75
VEILED = 0.15  # severity of haze from which on a photo without lights counts as one in haze
HAZY = 1.2, 2.4  # severity of the haze in a photo that was lit: no correction, and a full one
SURE = 2.0  # severity of darkness that visible noise or haze without any light shows
NOISY = 4 / 255, 7 / 255  # noise that a doubtful correction is not worth amplifying; texture counts as up to 4/255
# Severity of darkness up to which blue light is a sign of water, and from which on it is none. Of 420 photos under
# water, real and composed, the darkest has 0.3.
DEEP = 0.5, 1.5
RIVAL = 0.7  # share of the largest severity; a second largest below it does not reduce the correction


class Auto(Degradation):
    """Haze, low light, water, or nothing but noise: y = φ(x) + n with that family's φ, to the degree that it shows.

    Each family measures how strongly the photo shows it (``severity``). ``Auto`` takes the family with the largest
    severity, and corrects the photo by this share (``amount``), or by less where it is not sure and the photo would
    change much (``bounded``). If the share is 0, ``Noise`` remains. If two families have nearly the same severity, the
    share decreases, to 0 if they are equal. So a small change of the photo changes the result only a little. A dark
    photo is looked at again when it is lit, and becomes a chain if it has haze.

    Mixtures are undone in the reverse order of their origin: first strong JPEG, specks, blur and rain (``cleared``),
    then visible noise, then the family. The fit sees the photo without these (``explained``). Noise alone is removed by
    the fit itself.
    """

    pointwise = True  # all families that it chooses from are
    facts = ("reason", "first", "removed", "left", "_cleared", "_why")

    def __init__(self) -> None:
        super().__init__()
        self.chosen: Degradation = Noise()
        self.first = Cleared()
        self.removed, self.left = 0.0, 0.0  # σ of the noise that is removed first, and of what is left of it
        self._cleared: Tensor | None = None
        self._why = ""  # the evidence for the family

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        if "without_shades" in side or not has_shades(y):
            self._leave(y)
            return
        y = self._without_first(y, side, denoise)
        small = looked_at(y)
        sigma = estimate_noise_level(y)
        best, share, severity, why = most(small, sigma, side.get("exposure"))
        share = bounded(best, small, share, severity, denoise)
        share *= 1 - ramp(sigma, *NOISY) * ramp(severity, CLEAR[0], SLIGHT[0])
        if share > LEAST:
            self.chosen = best()
            self.chosen.amount.fill_(share)
            self._why = f"{share:.0%} of {why}"
        y = self._denoised(y, denoise)
        self.chosen.initialize(y, side, denoise)
        only_first = self.first and isinstance(self.chosen, Noise)
        self.amount.copy_(self.first.share if only_first else self.chosen.amount)
        self._look_for_haze(y, side, denoise)
        self.noise = self.chosen.noise  # the same module under both names
        self._start_noise(y, denoise)

    def _look_for_haze(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        """Looks at a dark photo again when it is lit: if there is haze in it, the photo is a chain of both."""
        if not isinstance(self.chosen, LowLight):
            return
        lit = looked_at(self.chosen.first_estimate(y).detach())
        haze = look_for("Haze", lit)
        share = ramp(haze.severity, *HAZY)
        if share > 0:
            amount = float(self.amount)
            self.chosen = Chain([lambda: _with_amount(Haze, share), lambda: _with_amount(LowLight, amount)])
            self.chosen.initialize(y, side, denoise)
            self._why += f"; when lit, {share:.0%} of {haze.why}"

    def _leave(self, y: Tensor) -> None:
        """Takes the photo as it is, whatever was found in a small copy of it: with rounding errors, no other noise."""
        learns = any(value.requires_grad for value in self.parameters())
        self.chosen, self.first, self.reason = Noise().requires_grad_(learns), Cleared(), ""
        self.noise = self.chosen.noise
        self.noise.start(rounding(y), rounding(y))

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        if not has_shades(y):
            self._leave(y)
            return
        y = self._denoised(self._without_first(y, {}, denoise), denoise)
        self.chosen.measure_noise(y, denoise)
        self._start_noise(y, denoise)

    def explained(self, y: Tensor) -> Tensor:
        """The photo without what was removed first, as ``initialize`` or ``measure_noise`` has made it."""
        cleared, self._cleared = self._cleared, None
        return y if cleared is None else cleared

    def _without_first(self, y: Tensor, side: Side, denoise: Denoise) -> Tensor:
        """``y`` without strong artifacts of JPEG, specks, blur and rain."""
        clean, self.first = cleared(y, side, denoise)
        if self.first:
            self._cleared = clean
        return clean

    def _denoised(self, y: Tensor, denoise: Denoise) -> Tensor:
        """``y`` without faint JPEG and visible noise, if a family was found that would amplify them."""
        self.removed, self.left = 0.0, 0.0
        if isinstance(self.chosen, Noise):
            return y
        y = faintly_unblocked(y, self.first, self.chosen.amount, denoise)
        if self.first.jpeg is not None:
            self._cleared = y
        clean, sigma, share = without_noise(y, denoise)
        if isinstance(self.chosen, LowLight):
            usual = LowLight().curve
            self.chosen.curve = usual + share * (GENTLE - usual)
            self.chosen.kept = KEPT + share * (1 - KEPT)
        if share > 0:
            self.removed, self.left, self._cleared = sigma, sigma * LEFT**share, clean
        return clean

    def _start_noise(self, y: Tensor, denoise: Denoise) -> None:
        """Starts σ from what is left on ``y``, the photo that the fit explains."""
        if self.removed:
            self.noise.start(self.left, rounding(y))
        elif (blur := self.first.blur) is not None:  # noise is removed with it; what looks like noise now is detail
            left = float((1 - blur.amount) * blur.noise_level().detach())
            self.noise.start(max(left, rounding(y)), rounding(y))
        else:
            self._blend_noise(y, denoise)
        noise = f"noise of {255 * self.removed:.1f} of 255" if self.removed else ""
        self.reason = "; ".join(filter(None, [self._why, noise, *self.first.words()]))

    def _blend_noise(self, y: Tensor, denoise: Denoise) -> None:
        """Mixes in the noise model of ``Noise``: it is valid for a slight correction, which keeps the contrast."""
        share, own = float(self.amount), self.noise.log_sigma.detach().clone()
        if isinstance(self.chosen, Noise) or share == 1:
            return
        self.noise.start(look_at_noise(y, denoise), rounding(y))
        self.noise.log_sigma.data.lerp_(own, share)
        self.noise.log_start.copy_(self.noise.log_sigma.detach())

    @property
    def links(self) -> list[Degradation]:
        """The degradations in the order of their origin: the family, what was removed first, such as noise."""
        first = self.first
        family = None if first and isinstance(self.chosen, Noise) else self.chosen
        noise = Noise() if self.removed else None
        return [link for link in (family, first.rain, first.blur, noise, first.specks, first.jpeg) if link is not None]

    @property
    def kind(self) -> str:
        """The kinds of the ``links``, such as ``Haze + Noise + Jpeg``."""
        return " + ".join(link.kind for link in self.links)

    @property
    def untouched(self) -> bool:
        """Whether no family was found, and the learned noise is too faint to see."""
        unseen = float(self.noise_level().detach()) <= UNSEEN
        return isinstance(self.chosen, Noise) and not self.first and unseen

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.chosen(x)
        return out

    def invert(self, y: Tensor) -> Tensor:
        return self.chosen.invert(y)

    def observe(self, y: Tensor) -> Observation | None:
        return self.chosen.observe(y)

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return self.chosen.result(x0, z)

    def levels(self) -> tuple[float, float] | None:
        """The photo's own noise level if only JPEG, specks, blur or rain was removed: the fit then learns nothing."""
        if not self.first or not isinstance(self.chosen, Noise):
            return None
        sigma = float(self.noise_level().detach())
        return sigma, sigma

    def penalty(self) -> Tensor:
        return self.chosen.penalty()

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return self.chosen.parameter_groups(lr)

    def diagnostics(self) -> dict[str, Tensor]:
        return self.chosen.diagnostics()


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


def _with_amount(family: type[Degradation], amount: float) -> Degradation:
    found = family()
    found.amount.fill_(amount)
    return found


def trusted(severities: list[float]) -> float:
    """The share to correct, 0 to 1, from the severities of all families.

    It is the largest severity if no other is close to it, and falls to 0 if the two largest are equal.
    """
    *_, second, most = sorted([0.0, *severities])
    if most <= LEAST:
        return 0.0
    return min(1.0, (most - LEAST) / (1 - LEAST)) * min(1.0, (1 - second / most) / (1 - RIVAL))
