"""Falling rain and snow: bright, thin, straight streaks of about one direction."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.maps import thumbnail
from zeroair_pl.degradations.noise_level import look_at_noise, rounding
from zeroair_pl.degradations.noise_models import NoiseModel
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

LEVELS = 0.2, 0.03  # noise levels
UNSURE = 1.5  # standard deviation of the error under a streak, in units of the streak's brightness S
PIXELS = 512 * 512  # of the photo in which streaks are looked for: they are a few of its pixels wide
ANGLES = 24
ALIKE = 0.97  # share of the largest excess from which on another angle counts as equal
WIDE, WIDER = 7, 11  # px, the length over which a streak stands out across its direction
HEAVY, HEAVIER = 0.012, 0.025  # mean brightness of the streaks; of heavy rain, and where streaks are WIDER
LONG, SHORT = 17, 9  # px, the length along which single streaks are followed, and those of heavy rain, which cross
FAN = math.radians(10)  # of heavy rain, to each side
EVEN = 0.5, 0.65  # evenness over the photo from which on streaks may be rain, and surely are
ENDLESS = 0.32, 0.45  # share of streaks longer than LONGEST up to which they are rain, and above which they are not
LONGEST = 61  # px
SURE = 1.0, 3.0  # contrasts from which on the streaks of a photo are trusted, and wholly trusted
STEEP = math.radians(60)  # from the vertical; flatter lines may be waves or stairs
# Contrasts from which on a photo shows rain, and surely does.
STEEP_RAIN, FLAT_RAIN = (2.0, 4.0), (9.0, 14.0)


class StreakNoise(NoiseModel):
    """White noise plus the uncertainty under a streak: the variance σ² + (1.5 S)² of each pixel.

    Attributes:
        streaks: S, (1, 1, H, W), in units of [0, 1].
    """

    def __init__(self, streaks: Tensor) -> None:
        super().__init__()
        self.register_buffer("streaks", streaks)

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        return super().variance(y, y_hat) + (UNSURE * self.get_buffer("streaks")).square()


class Streaks(Degradation):
    """y = x + S + n: thin streaks of one direction add the same light S ≥ 0 to all channels.

    S is what is brighter than its surroundings across the direction and continues along it (a top-hat and an opening,
    both along lines). Rain makes only bright lines, but a scene has bright and dark ones. So the direction is the one
    in which the bright lines exceed the dark lines most, and the numbers of bright and dark lines of one strength give
    the probability that such a line is rain. Rain falls everywhere in a photo, and its streaks end. Lines in one part
    of the photo, and lines without end, belong to the scene (``share_of_rain``). ``AnnealedSampler`` then restores the
    scene under the streaks.

    Args:
        angle: the direction, in degrees, counterclockwise from the right: 90 is vertical; null to find it.
    """

    pointwise = True

    def __init__(self, angle: Annotated[float | None, Range(0, 180)] = None) -> None:
        super().__init__()
        self.stated = None if angle is None else math.radians(angle)

    @property
    def scales(self) -> bool:
        return False  # a smaller copy of the photo does not show thin streaks

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        small = thumbnail(y, PIXELS)
        found = direction_of(small, self.stated)
        layer = streaks_in(small, found)
        layer = layer * share_of_rain(small, layer, found) * self.amount
        self.register_buffer("angle", y.new_full((1, 1, 1, 1), math.degrees(found.angle)))
        size = (y.shape[-2], y.shape[-1])
        if layer.shape[-2:] != size:
            layer = F.interpolate(layer, size=size, mode="bilinear", align_corners=False)
        self.register_buffer("streaks", layer)
        self.noise = StreakNoise(layer)
        super().initialize(y, side, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.noise.start(look_at_noise(y - self.get_buffer("streaks"), denoise), rounding(y))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.get_buffer("streaks")

    def invert(self, y: Tensor) -> Tensor:
        return y - self.get_buffer("streaks")

    def observe(self, y: Tensor) -> Observation | None:
        return None  # AnnealedSampler restores better here, since it starts from the pixels around the streaks

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        e2 = error.square().view(1, 1, 1, 1)
        return torch.lerp(x0, self.invert(y), e2 / (e2 + self.noise.variance(y, x0)))

    def levels(self) -> tuple[float, float] | None:
        return LEVELS

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return z  # it is the photo where there is no streak

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        return []  # the first estimate of the noise, in flat parts, is the best one

    @classmethod
    def severity(cls, y: Tensor) -> float:
        small = thumbnail(y, PIXELS)
        found = direction_of(small)
        steep = abs(found.angle - math.pi / 2) < STEEP
        sure = ramp(found.contrast, *(STEEP_RAIN if steep else FLAT_RAIN))
        return sure * share_of_rain(small, streaks_in(small, found), found) if sure > 0 else 0.0

    @property
    def untouched(self) -> bool:
        return not bool(self.get_buffer("streaks").any())

    def diagnostics(self) -> dict[str, Tensor]:
        streaks = self.get_buffer("streaks")
        return {"streaks": streaks.clamp(0, 1), "angle": self.get_buffer("angle")}


class Direction(NamedTuple):
    """The direction of the streaks and the evidence for it.

    Attributes:
        angle: in radians, counterclockwise from the right, 0 to π.
        brightness: mean brightness of the bright lines in this direction, in units of [0, 1].
        contrast: excess of bright over dark lines in this direction, relative to the lines in other directions.
    """

    angle: float
    brightness: float
    contrast: float


def direction_of(y: Tensor, stated: float | None = None) -> Direction:
    """The direction in which the bright lines of ``y`` (1, 3, H, W) exceed its dark lines most, or ``stated``.

    It is searched in steps of 7.5 degrees, and then of 2.5 around the best of them, since a thin line that is off by 4
    degrees leaves the row of pixels; of equal directions, it is the mean.
    """
    angles = [(stated or 0) + math.pi * k / ANGLES for k in range(ANGLES)]
    both = _both(y)
    found = _bright_and_dark(both, angles)
    more = found[:, 0] - found[:, 1]
    best = int(more.argmax()) if stated is None else 0
    apart = (torch.arange(ANGLES) - best).remainder(ANGLES)
    others = found[torch.minimum(apart, ANGLES - apart) > 3].mean()
    angle, brightness, excess = angles[best], found[best, 0], more[best]
    if stated is None:
        near = [angle + math.pi / ANGLES * step / 3 for step in range(-2, 3)]
        fine = _bright_and_dark(both, near)
        excesses = fine[:, 0] - fine[:, 1]
        excess = excesses.max()
        equal = excesses >= excess - (1 - ALIKE) * excess.abs()
        angle, brightness = float(torch.tensor(near)[equal].mean()), fine[equal, 0].max()
    return Direction(angle, float(brightness), float(excess / (others + 2e-4)))


def _bright_and_dark(both: tuple[Tensor, Tensor], angles: list[float]) -> Tensor:
    """Mean brightness of the lines in the bright and in the dark parts at each of K angles, (K, 2)."""
    return torch.tensor([[float(lines(part, a, WIDE, LONG).mean()) for part in both] for a in angles])


def streaks_in(y: Tensor, found: Direction) -> Tensor:
    """S, (1, 1, H, W), of a photo ``y`` (1, 3, H, W) whose streaks have the direction ``found``."""
    heavy = min(1.0, found.brightness / HEAVY)
    length = 2 * round((LONG - (LONG - SHORT) * heavy) / 2) - 1
    wide = WIDE if found.brightness < HEAVIER else WIDER
    fan = [found.angle + turn * FAN * heavy for turn in (-1, -0.5, 0, 0.5, 1)]
    bright, dark = (
        torch.stack([lines(part, angle, wide, length) for angle in fan]).amax(0) for part in _both(y)
    )  # fmt: skip
    trust = ramp(found.contrast, *SURE)
    return bright * torch.lerp(_likely(bright, dark), torch.ones_like(bright), trust)


def share_of_rain(y: Tensor, layer: Tensor, found: Direction) -> float:
    """How much the lines ``layer`` (1, 1, H, W) of the photo ``y`` are like rain, from 0 to 1.

    The mean brightness b of the lines in each of 8×8 parts of the photo gives the evenness (Σb)²/(64 Σb²), from 1/64 to
    1. The lines of a scene are in some parts of the photo, or do not end.
    """
    parts = F.adaptive_avg_pool2d(layer, 8)
    even = float(parts.sum().square() / (parts.numel() * parts.square().sum() + 1e-12))
    short, endless = (float(lines(_both(y)[0], found.angle, WIDE, length).mean()) for length in (LONG, LONGEST))
    return ramp(even, *EVEN) * (1 - ramp(endless / (short + 1e-6), *ENDLESS))


def lines(image: Tensor, angle: float, wide: int, length: int) -> Tensor:
    """The brightness of bright lines at ``angle`` above their surroundings, (1, 1, H, W), at least 0.

    Args:
        image: (1, 1, H, W).
        angle: in radians, counterclockwise from the right.
        wide: in pixels, across the line; a line must be narrower.
        length: in pixels, along the line; a line must be at least as long.
    """
    return _opened(image - _opened(image, angle + math.pi / 2, wide), angle, length)


def _both(y: Tensor) -> tuple[Tensor, Tensor]:
    """Two images (1, 1, H, W): for lines that are bright in all channels, and (negated) for lines dark in all."""
    return y.amin(1, keepdim=True), -y.amax(1, keepdim=True)


def _opened(image: Tensor, angle: float, length: int) -> Tensor:
    """An opening: for each pixel, the largest minimum over the lines of ``length`` px at ``angle`` that contain it."""
    along = range(-(length // 2), length // 2 + 1)
    steps = sorted({(round(-t * math.sin(angle)), round(t * math.cos(angle))) for t in along})
    return _over(_over(image, steps, torch.minimum), steps, torch.maximum)


def _over(image: Tensor, steps: list[tuple[int, int]], choose: object) -> Tensor:
    height, width = image.shape[-2:]
    reach = max(max(abs(down), abs(across)) for down, across in steps)
    padded = F.pad(image, [reach] * 4, mode="replicate")
    shifted = (
        padded[..., reach + down : reach + down + height, reach + across : reach + across + width]
        for down, across in steps
    )
    result = next(shifted).clone()
    for each in shifted:
        choose(result, each, out=result)  # type: ignore[operator]
    return result


def _likely(bright: Tensor, dark: Tensor) -> Tensor:
    """For each line, the share of lines at least as bright that are rain, 1 − N_dark/N_bright.

    The dark lines estimate how many bright lines the scene has without rain.
    """
    heights = torch.cat([bright.new_zeros(1), 0.01 * 1.25 ** torch.arange(20, dtype=bright.dtype)])
    above = [(part.flatten() >= heights[:, None]).float().mean(1) + 1e-5 for part in (bright, dark)]
    share = (1 - above[1] / above[0]).clamp(0, 1).cummax(0).values.to(bright)
    place = torch.bucketize(bright, heights).clamp(1, len(heights) - 1)
    low, high = heights[place - 1], heights[place]
    return torch.lerp(share[place - 1], share[place], ((bright - low) / (high - low)).clamp(0, 1))
