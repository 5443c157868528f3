"""Low light: too little light, unevenly spread, and the camera's tone curve."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.base import SLOW, Degradation, Denoise, Side, noise_first
from zeroair_pl.degradations.maps import correct, quantiles, refine, smooth_grid
from zeroair_pl.degradations.noise_models import HOLD
from zeroair_pl.degradations.picture import picture_window
from zeroair_pl.degradations.recognition import look_for
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

# Value at which the restored brightness levels off: a dim wall may become white, but what is bright in the photo itself
# (its brightest values are LIGHTS) keeps its detail; and how abruptly.
PEAK, KEEPING, LIGHTS, SHARP = 1.15, 0.97, (0.45, 0.65), 16
MILD, KEPT = 0.1, 0.5  # a color cast, as a logarithm, that is left as it is, and the share of the rest that is kept
# Smoothed brightness below which the gain falls, by this power: there is little signal, and steps of 8 bits would show.
BLACK, TOE = 2.5 / 255, 0.8
UNLIT = 4 / 255  # value up to which a pixel is black
NIGHT = 0.3, 0.5  # share of black pixels from which on they do not count for the gain: all count, none counts
STIFF = 0.3 * SLOW  # relative learning rate of L and γ: a photo says little about how bright its scene was


class LowLight(Degradation):
    """Retinex with a tone curve, y = (c·L ⊙ x)^γ + n.

    L in (0, 1] is a smooth illumination map, c the color of the light, γ one exponent. The start follows from the
    photo's statistics. L is the smoothed brightness to the power ``flatten``, so that shadows are brightened more than
    lights. It is scaled so that the brighter parts of the restored photo come near ``highlight``, and its mean near a
    target that is lower for a darker photo; black, where there is no signal, stays dark and does not count. c keeps a
    mild color cast, and takes half of what is stronger: scenes that are lit by one colored lamp are rare, wrong white
    balances in the dark are not. Test-time modeling then corrects γ and, by a smooth grid, L. A photo without large
    dark areas hardly changes.

    Args:
        curve: 1/γ at the start, the exponent that brightens the shadows.
        flatten: share of the uneven illumination that is removed, 0 (none) to 1 (all).
        highlight: target for the 95th percentile of the restored photo, in [0, 1].
        mean: target for the mean of the restored photo, for a very dark input (mean 0.06).
        max_gain: largest amplification 1/L; it limits the noise.
    """

    pointwise = True
    log_l: Tensor
    log_color: Tensor
    log_gamma_start: Tensor

    def __init__(
        self,
        curve: Annotated[float, Range(0, 1, above=True)] = 0.6,
        flatten: Annotated[float, Range(0, 1)] = 0.12,
        highlight: Annotated[float, Range(0, 1, above=True)] = 0.8,
        mean: Annotated[float, Range(0, 1, above=True)] = 0.45,
        max_gain: Annotated[float, Range(1)] = 20.0,
    ) -> None:
        super().__init__()
        self.curve, self.flatten, self.highlight, self.mean, self.max_gain = curve, flatten, highlight, mean, max_gain
        self.kept = KEPT
        self.bend = nn.Parameter(torch.zeros(()))
        self.register_buffer("log_gamma_start", torch.zeros(()))

    @classmethod
    def severity(cls, y: Tensor) -> float:
        return look_for("LowLight", y).severity

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        window = picture_window(y)  # a frame is no part of the scene
        bright = y.amax(dim=1, keepdim=True)
        smooth = refine(bright, y, radius=max(2, round(0.06 * min(y[window].shape[-2:]))), eps=1e-3)
        darkness = min(1.0, float((smooth[window] < 0.25).float().mean()) / 0.35)
        curve = 1 - (1 - self.curve) * darkness
        self.log_gamma_start.copy_(-self.amount * math.log(curve))
        # Values below 0.02 are mostly noise and compression blocks. A larger gain would show them.
        relative = (smooth.clamp(min=0.02) / float(quantiles(smooth[window], 0.95))).clamp(max=1)
        uneven = relative ** (curve * self.flatten * darkness)
        gain = _gain((y**curve / uneven)[window], y[window], self.highlight, self.mean)
        # A smooth maximum of L and of the L that brings the brightness to the peak: bright parts do not saturate.
        peak = PEAK + (KEEPING - PEAK) * ramp(float(quantiles(bright[window], 0.999)), *LIGHTS)
        light = (uneven / gain) * (1 + (smooth.clamp(min=0) ** curve * gain / uneven / peak) ** SHARP) ** (1 / SHARP)
        light = (light * (BLACK / smooth.clamp(min=BLACK / 8)).clamp(min=1) ** TOE).clamp(1 / self.max_gain, 1)
        self.register_buffer("log_l", self.amount * light.log())
        self.register_buffer("log_color", self.amount * darkness * _color((y**curve / light)[window], self.kept).log())
        self.correction = smooth_grid(y)

    @property
    def gamma(self) -> Tensor:
        """γ, a scalar."""
        return (self.log_gamma_start + self.amount * self.bend).exp()

    def illumination(self) -> Tensor:
        """L, (1, 1, H, W) in [1/max_gain, 1]."""
        return correct(self.log_l, self.amount * self.correction).clamp(1 / self.max_gain, 1)

    def forward(self, x: Tensor) -> Tensor:
        # The floor keeps the derivative of the power finite at black.
        return (self.log_color.exp() * self.illumination() * x).clamp(min=1e-4) ** self.gamma

    def invert(self, y: Tensor) -> Tensor:
        return y.clamp(min=0) ** (1 / self.gamma) / (self.log_color.exp() * self.illumination())

    def penalty(self) -> Tensor:
        moved = self.bend.square() + self.correction.square().mean()
        return super().penalty() + HOLD * moved

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return noise_first(self, lr, STIFF)

    def diagnostics(self) -> dict[str, Tensor]:
        color = self.log_color.exp()
        return {"illumination": self.illumination(), "color": color, "gamma": self.gamma.view(1, 1, 1, 1)}


def _gain(flat: Tensor, y: Tensor, highlight: float, mean: float) -> float:
    """The gain of a photo ``y`` (1, 3, H, W) that is ``flat`` after the curve, at least 1.

    Black pixels say nothing about the light of the others. If there are many, as in the sky at night, the gain is that
    of the others.
    """
    lit = y.amax(1, keepdim=True) > UNLIT
    count = int(lit.sum())
    night = ramp(1 - count / lit.numel(), *NIGHT) if count > 100 else 0.0
    gain = 1.0 if night == 1 else _gain_of(flat, float(y.mean()), highlight, mean) ** (1 - night)
    if night == 0:
        return gain
    others, values = (each[lit.expand_as(each)].view(1, 3, 1, count) for each in (flat, y))
    return gain * _gain_of(others, float(values.mean()), highlight, mean) ** night


def _gain_of(flat: Tensor, mean_in: float, highlight: float, mean: float) -> float:
    """Geometric mean of two gains, at least 1.

    The first gain brings the 95th percentile to ``highlight``. The second brings the mean to a target that is
    proportional to the input's mean to the power 0.4. It is at most twice the first, so that a night photo stays a
    night photo, and its lamps do not saturate.
    """
    by_highlight = highlight / max(float(quantiles(flat.reshape(1, 1, -1, flat.shape[-1]), 0.95)), 1e-3)
    target = min(max(mean * (max(mean_in, 1e-4) / 0.06) ** 0.4, 0.2), 0.6)
    low, high = 0.1, 200.0
    for _ in range(30):  # bisection on the gain, since clipping makes the mean non-linear in it
        middle = (low * high) ** 0.5
        low, high = (middle, high) if float((flat * middle).clamp(0, 1).mean()) < target else (low, middle)
    by_mean = min((low * high) ** 0.5, 2 * by_highlight)
    return max(1.0, (by_highlight * by_mean) ** 0.5)


def _color(x: Tensor, kept: float) -> Tensor:
    """c, (1, 3, 1, 1), the part of the color cast of ``x`` that is not of the scene; x/c is as bright as x.

    The cast is the logarithm of the mean of each channel over that of all. Its largest value n becomes
    MILD + kept·(n − MILD).
    """
    mean = x.clamp(0, 1).mean((2, 3), keepdim=True).clamp(min=0.02)
    cast = mean.log() - mean.log().mean(1, keepdim=True)
    most = float(cast.abs().amax())
    color = (cast * (1 - min(1.0, (MILD + kept * (most - MILD)) / max(most, 1e-6)))).exp()
    return color * (mean / color).mean() / mean.mean()
