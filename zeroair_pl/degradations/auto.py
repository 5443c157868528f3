"""Automatic choice of the degradation: JPEG, specks, blur, rain and noise first, then what the photo shows most."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.chain import Chain
from zeroair_pl.degradations.choosing import LEAST, most
from zeroair_pl.degradations.clearing import LEFT, Cleared, cleared, faintly_unblocked, without_noise
from zeroair_pl.degradations.doubt import CLEAR, SLIGHT, bounded
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.low_light import KEPT, LowLight
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.noise_level import estimate_noise_level, look_at_noise, rounding
from zeroair_pl.degradations.picture import has_shades, looked_at
from zeroair_pl.degradations.recognition import look_for
from zeroair_pl.degradations.steps import ramp

# Learned noise level up to which noise is not removed. Two steps of 8 bits are 1.6 % of a mid gray; about there, an eye
# begins to see grain of single pixels on a screen. For clean photos, the learned level is 1.2 to 1.8 steps, since faint
# texture counts too. The lowest level of the photos with camera noise that were measured is 3.8 steps.
UNSEEN = 2 / 255
# 1/γ of the start for a dark photo with visible noise, which hides what a stronger curve would show. Its colors stay.
GENTLE = 0.75
HAZY = 1.2, 2.4  # severity of the haze in a photo that was lit: no correction, and a full one
NOISY = 4 / 255, 7 / 255  # noise that a doubtful correction is not worth amplifying; texture counts as up to 4/255


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


def _with_amount(family: type[Degradation], amount: float) -> Degradation:
    found = family()
    found.amount.fill_(amount)
    return found
