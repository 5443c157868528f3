"""Haze: the effect of light that is scattered between the scene and the camera."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroair_pl.degradations.airlight import DARKEST, cells, dark_channel, estimate_airlight, local_airlight, odd
from zeroair_pl.degradations.base import Degradation, Denoise, Side, noise_first
from zeroair_pl.degradations.exposure import brightened, brightening, darkened
from zeroair_pl.degradations.maps import correct, quantiles, refine, smooth_grid, thumbnail, upsample
from zeroair_pl.degradations.noise_level import estimate_noise_level
from zeroair_pl.degradations.noise_models import HOLD
from zeroair_pl.degradations.picture import picture_window
from zeroair_pl.degradations.recognition import look_for
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

SEEN = 2**17  # pixels of the copy on which the start is computed, so that it hardly depends on the photo's size
LOWEST, MOST = 2.0, 0.008  # correction of the dark channel for noise, in units of σ, and at most: texture looks like it
CLEAR, VEILED = 0.46, 0.54  # darkest values, relative to A: the haze is not everywhere, or it is
SCENE = 0.03  # range of the values, relative to A, below which nothing is seen in the haze
# In haze that is dense everywhere, t has no jumps to follow, and texture hardly shows through: the window of the dark
# channel is wider by this factor, and the strength larger.
WIDER, STRONGER = 1.2, 0.08
ALONE = 2**21  # pixels of a photo from which on no others are computed with it as one, which needs equal shapes
WEAKER = 0.8  # the strength where the light is uneven, relative to the usual one: the local airlight is an upper bound
SHADED = 0.7  # the least t of fog that is darker than sky, by that of sky
# Share of the brightness lost with the haze that the exposure brings back in a photo of medium brightness, as a camera
# makes it of a hazy scene; and the mean brightness between which it falls to 0 for dark and for bright photos.
EXPOSED, DARK, BRIGHT = 0.3, (0.37, 0.45), (0.62, 0.55)


class Haze(Degradation):
    """Koschmieder's haze, y = t·e(x) + A·(1 − t) + n, with a transmission map t in (0, 1] and an airlight A.

    e is the exposure, b⁻¹ of ``exposure``: a camera exposes for the light that the haze adds, and x is exposed for the
    scene. The mean of the start is moved towards that of the photo, if this is neither dark nor bright.

    The start of t and A is the dark channel prior (He, Sun & Tang, CVPR 2009) with an airlight that is gray unless the
    veil has a clear color (``estimate_airlight``), refined by a guided filter. Where lamps, a window or shade make the
    light uneven, A is a smooth map (``local_airlight``). Test-time modeling then corrects A and, by a smooth grid of
    log-transmission, t.

    Args:
        strength: ω, the share of the haze that the start removes; below 1, distant parts keep a little haze.
        patch: side of the dark channel's window, as a share of the photo's short side.
        floor: smallest transmission; it limits the amplification of noise to 1/floor.
        sky_floor: smallest transmission where the photo looks like open sky (bright, without color, smooth); 0.7 of
            it where it looks like fog in the shade (plain).
    """

    pointwise = True
    log_t: Tensor
    airlight_start: Tensor
    brighter: Tensor

    def __init__(
        self,
        strength: Annotated[float, Range(0, 1)] = 0.88,
        patch: Annotated[float, Range(0, 1)] = 0.045,
        floor: Annotated[float, Range(0, 1, above=True)] = 0.12,
        sky_floor: Annotated[float, Range(0, 1)] = 0.8,
    ) -> None:
        super().__init__()
        self.strength, self.patch, self.floor, self.sky_floor = strength, patch, floor, sky_floor

    @classmethod
    def severity(cls, y: Tensor) -> float:
        return look_for("Haze", y).severity

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        small = thumbnail(y, SEEN)
        frame = picture_window(small)
        inside = small[frame]  # a frame is no part of the scene
        window = odd(self.patch * min(inside.shape[-2:]))
        airlight = estimate_airlight(inside, window)
        dense = everywhere(inside, airlight)
        wide = odd(self.patch * (1 + dense * WIDER) * min(inside.shape[-2:]))
        # Noise lowers the minimum of a window of a few hundred values by LOWEST standard deviations.
        lowered = min(LOWEST * estimate_noise_level(small), MOST)
        here, uneven = _uneven_light(small, frame, airlight)
        strength = self.strength * (1 - uneven * (1 - WEAKER))
        seen = ((small + lowered) / _spread(here, small)).clamp(max=1)
        dark = dark_channel(seen, wide)
        dark[frame] = dark_channel(seen[frame], wide)
        open_air = torch.maximum(sky_likeness(small, airlight, window), SHADED * plainness(small, airlight, window))
        sky = self.sky_floor * (1 - dense) * open_air
        t = torch.maximum(1 - min(1.0, strength * (1 + dense * STRONGER)) * dark, sky)
        t = F.interpolate(t, size=y.shape[-2:], mode="bilinear", align_corners=False) if small.shape != y.shape else t
        radius = round(6 * window * (1 - dense / 2) * (y[0, 0].numel() / small[0, 0].numel()) ** 0.5)
        eps, inner = 1e-3 * 0.1**dense, picture_window(y)
        rough, t = t, refine(t, y, radius=radius, eps=eps)
        if t[inner].shape != t.shape:  # the filter carries a frame's values into the picture
            t[inner] = refine(rough[inner], y[inner], radius=radius, eps=eps)
        t = t.clamp(self.floor, 1)
        self.register_buffer("log_t", self.amount * t.log())
        self.register_buffer("brighter", self.amount * _brighter(y[inner], t[inner], _spread(here, small)[frame]))
        self.correction = smooth_grid(y)
        self.register_buffer("airlight_start", here)
        self.tint = nn.Parameter(torch.zeros_like(airlight))

    @property
    def airlight(self) -> Tensor:
        """A, (1, 3, H, W); (1, 3, 1, 1) for a large photo in even light."""
        return _spread((self.airlight_start + self.tint).clamp(0, 1), self.log_t)

    def transmission(self) -> Tensor:
        """t, (1, 1, H, W) in [floor, 1]."""
        return correct(self.log_t, self.amount * self.correction).clamp(self.floor, 1)

    def forward(self, x: Tensor) -> Tensor:
        t = self.transmission()
        return t * darkened(x, self.brighter) + self.airlight * (1 - t)

    def invert(self, y: Tensor) -> Tensor:
        t = self.transmission()
        return brightened((y - self.airlight * (1 - t)) / t, self.brighter)

    def penalty(self) -> Tensor:
        return super().penalty() + HOLD * (self.correction.square().mean() + self.tint.square().mean())

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return noise_first(self, lr)

    def diagnostics(self) -> dict[str, Tensor]:
        return {"transmission": self.transmission(), "airlight": self.airlight.mean((2, 3), keepdim=True)}


def _uneven_light(y: Tensor, frame: tuple[slice, ...], airlight: Tensor) -> tuple[Tensor, float]:
    """A of the photo ``y`` (1, 3, H, W) on a grid (1, 3, h, w), and how uneven its light is, from 0 to 1.

    In even light, A is the one ``airlight`` (1, 3, 1, 1). It becomes the local one as far as the light is uneven.
    ``frame`` is the part of ``y`` that is no frame.
    """
    local, uneven = local_airlight(y[frame])
    grid = airlight.expand(1, 3, *cells(y))
    if uneven == 0:
        return grid.clone(), 0.0
    if y[frame].shape != y.shape:
        whole = airlight.expand(1, 3, *y.shape[-2:]).clone()
        whole[frame] = upsample(local, (y[frame].shape[-2], y[frame].shape[-1]))
        local = F.interpolate(whole, size=cells(y), mode="area")
    return airlight ** (1 - uneven) * local.clamp(DARKEST, 1) ** uneven, uneven


def _spread(grid: Tensor, y: Tensor) -> Tensor:
    """A grid (1, 3, h, w) as a smooth map of the size of ``y``; one value (1, 3, 1, 1), if it is one and y is large."""
    one = grid[..., :1, :1]
    if y[0, 0].numel() > ALONE and bool((grid == one).all()):  # saves memory
        return one
    return upsample(grid, (y.shape[-2], y.shape[-1])).clamp(DARKEST, 1)


def _brighter(y: Tensor, t: Tensor, airlight: Tensor) -> float:
    """k of ``exposure`` for the photo ``y`` (1, 3, H, W) with the transmission ``t`` (1, 1, H, W)."""
    y, t = thumbnail(y), thumbnail(t)
    airlight = F.interpolate(airlight, size=y.shape[-2:], mode="area")
    x = ((y - airlight * (1 - t)) / t).clamp(0, 1)
    mean = float(y.mean())
    share = EXPOSED * ramp(mean, *DARK) * ramp(mean, *BRIGHT)
    return brightening(x, torch.lerp(x.mean(), y.mean(), share).item())


def sky_likeness(y: Tensor, airlight: Tensor, side: int) -> Tensor:
    """How much each pixel looks like open sky, (1, 1, H, W) in [0, 1]: smooth, and at least two thirds as bright as A.

    The dark channel takes a bright sky for dense haze. A division by the tiny t there would turn grain, clouds and
    compression blocks into colors.
    """
    gray = y.mean(dim=1, keepdim=True)
    mean = _box(gray, side)
    texture = (_box(gray.square(), side) - mean.square()).clamp(min=0).sqrt()
    brightness = mean / airlight.mean()
    return torch.sigmoid((brightness - 0.65) / 0.05) * torch.sigmoid((0.02 - texture) / 0.004)


def plainness(y: Tensor, airlight: Tensor, side: int) -> Tensor:
    """How plain each pixel's surroundings are, (1, 1, H, W) in [0, 1]: not black, and nothing but one slope in them.

    Fog is darker in the shade and above dark water. There is nothing in it that could be black, so its dark channel
    says less about its density, and a t as small as this one would make it black.
    """
    gray = y.mean(dim=1, keepdim=True)
    mean = _box(gray, side)
    texture = _box((gray - mean).square(), side).sqrt()
    return torch.sigmoid((mean / airlight.mean() - 0.3) / 0.05) * torch.sigmoid((0.01 - texture) / 0.002)


def everywhere(y: Tensor, airlight: Tensor) -> float:
    """0 to 1: whether the haze is dense even where the photo ``y`` (1, 3, H, W) is clearest, as in an even veil.

    At the darkest percent of the values, y = A(1 − t) at least, so t is below ½ everywhere. What looks like open sky is
    then fog. A photo of one value shows no scene behind it, and stays as it is.
    """
    dark = y.amin(dim=1)
    darkest, brightest = (float(quantiles(dark, q)) / float(airlight.mean()) for q in (0.01, 0.99))
    scene = ramp(brightest - darkest, 0, SCENE)
    return scene * ramp(darkest, CLEAR, VEILED)


def _box(x: Tensor, side: int) -> Tensor:
    rows = F.avg_pool2d(x, (side, 1), 1, (side // 2, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, side // 2), count_include_pad=False)
