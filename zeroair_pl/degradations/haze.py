"""Haze: the effect of light that is scattered between the scene and the camera."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, Denoise, Side, noise_first
from zeroair_pl.degradations.exposure import brightened, brightening, darkened
from zeroair_pl.degradations.maps import correct, quantiles, refine, smooth_grid, thumbnail
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
USUAL, DOUBT = 0.9, 0.2  # the usual airlight, and its weight against the brightest part of the photo
TINT = 0.8  # share of a veil's color that the airlight takes, if the whole photo has this color cast
SLIGHT = (
    0.1,
    0.06,
)  # a color cast from which on a veil's blue is not believed more than other colors, and one up to which
SHADED = 0.7  # the least t of fog that is darker than sky, by that of sky
# Share of the brightness lost with the haze that the exposure brings back in a photo of medium brightness, as a camera
# makes it of a hazy scene; and the mean brightness between which it falls to 0 for dark and for bright photos.
EXPOSED, DARK, BRIGHT = 0.3, (0.37, 0.45), (0.62, 0.55)


class Haze(Degradation):
    """Koschmieder's haze, y = t·e(x) + A·(1 − t) + n, with a transmission map t in (0, 1] and one airlight color A.

    e is the exposure, b⁻¹ of ``exposure``: a camera exposes for the light that the haze adds, and x is exposed for the
    scene. The mean of the start is moved towards that of the photo, if this is neither dark nor bright.

    The start of t and A is the dark channel prior (He, Sun & Tang, CVPR 2009) with an airlight that is gray unless the
    veil has a clear color (``estimate_airlight``), refined by a guided filter. Test-time modeling then corrects A and,
    by a smooth grid of log-transmission, t.

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
        window = _odd(self.patch * min(inside.shape[-2:]))
        airlight = estimate_airlight(inside, window)
        dense = everywhere(inside, airlight)
        wide = _odd(self.patch * (1 + dense * WIDER) * min(inside.shape[-2:]))
        # Noise lowers the minimum of a window of a few hundred values by LOWEST standard deviations.
        lowered = min(LOWEST * estimate_noise_level(small), MOST)
        seen = ((small + lowered) / airlight).clamp(max=1)
        dark = dark_channel(seen, wide)
        dark[frame] = dark_channel(seen[frame], wide)
        open_air = torch.maximum(sky_likeness(small, airlight, window), SHADED * plainness(small, airlight, window))
        sky = self.sky_floor * (1 - dense) * open_air
        t = torch.maximum(1 - min(1.0, self.strength * (1 + dense * STRONGER)) * dark, sky)
        t = F.interpolate(t, size=y.shape[-2:], mode="bilinear", align_corners=False) if small.shape != y.shape else t
        radius = round(6 * window * (1 - dense / 2) * (y[0, 0].numel() / small[0, 0].numel()) ** 0.5)
        eps, inner = 1e-3 * 0.1**dense, picture_window(y)
        rough, t = t, refine(t, y, radius=radius, eps=eps)
        if t[inner].shape != t.shape:  # the filter carries a frame's values into the picture
            t[inner] = refine(rough[inner], y[inner], radius=radius, eps=eps)
        t = t.clamp(self.floor, 1)
        self.register_buffer("log_t", self.amount * t.log())
        self.register_buffer("brighter", self.amount * _brighter(y[inner], t[inner], airlight))
        self.correction = smooth_grid(y)
        self.register_buffer("airlight_start", airlight)
        self.tint = nn.Parameter(torch.zeros_like(airlight))

    @property
    def airlight(self) -> Tensor:
        """A, (1, 3, 1, 1)."""
        return (self.airlight_start + self.tint).clamp(0, 1)

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
        return {"transmission": self.transmission(), "airlight": self.airlight}


def _brighter(y: Tensor, t: Tensor, airlight: Tensor) -> float:
    """k of ``exposure`` for the photo ``y`` (1, 3, H, W) with the transmission ``t`` (1, 1, H, W)."""
    y, t = thumbnail(y), thumbnail(t)
    x = ((y - airlight * (1 - t)) / t).clamp(0, 1)
    mean = float(y.mean())
    share = EXPOSED * ramp(mean, *DARK) * ramp(mean, *BRIGHT)
    return brightening(x, torch.lerp(x.mean(), y.mean(), share).item())


def dark_channel(y: Tensor, side: int) -> Tensor:
    """Minimum over the channels and a side×side window, (1, 3, H, W) → (1, 1, H, W)."""
    dark = y.amin(dim=1, keepdim=True)
    # First along rows, then along columns: the time grows with the side, not with its square.
    rows = F.max_pool2d(-dark, (side, 1), stride=1, padding=(side // 2, 0))
    return -F.max_pool2d(rows, (1, side), stride=1, padding=(0, side // 2))


def estimate_airlight(y: Tensor, side: int, share: float = 0.001) -> Tensor:
    """The airlight, (1, 3, 1, 1): mean brightness of the pixels with the largest dark channel, and the veil's color.

    The color of the brightest region alone is a poor estimate of the haze's color: a blue sky above the haze, a lamp or
    a wall would color the whole restored photo. A veil colors the whole photo. So the color counts as far as the mean
    of the photo has the same color cast, and the airlight is gray otherwise. Air scatters blue light most, so a slight
    blue is believed when less of the photo has it, and taken in full. The brightness is moved a little towards
    the usual airlight: a lamp or a white wall is brighter than the haze, and indoors no pixel may be distant enough to
    show the airlight.

    Args:
        y: the photo, (1, 3, H, W) in [0, 1].
        side: of the dark channel's window, in pixels.
        share: of the pixels that are averaged for the brightness; ten times as many are for the color.
    """
    dark = dark_channel(y, side).flatten()
    colors = y[0].flatten(1)
    order = dark.topk(max(1, int(10 * share * dark.numel()))).indices
    brightness = colors[:, order[: max(1, int(share * dark.numel()))]].mean()
    gray = torch.lerp(brightness, y.new_tensor(USUAL), DOUBT).clamp(0.3, 1)
    veil, whole = _cast(colors[:, order].mean(1)), _cast(colors.mean(1))
    same = (whole @ veil) / (veil @ veil + 1e-4)  # how much of the veil's cast the whole photo has
    taken = TINT * ramp(float(same), 0.5, 0.9)
    if veil[2] > veil[0]:
        slight = ramp(float(veil.abs().amax()), *SLIGHT)
        taken += slight * max(0.0, ramp(float(same), 0.3, 0.6) - taken)
    return (gray * (1 + taken * veil)).clamp(0.3, 1).view(1, 3, 1, 1)


def _cast(color: Tensor) -> Tensor:
    """The color cast (3,) of a mean color: its difference from gray, relative to its brightness."""
    return color / color.mean().clamp(min=0.05) - 1


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


def _odd(side: float) -> int:
    return max(3, 2 * (round(side) // 2) + 1)
