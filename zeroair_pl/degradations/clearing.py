"""What ``Auto`` removes from a photo before its families look at it: JPEG, specks, rain, blur and visible noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Side
from zeroair_pl.degradations.blur import Blur
from zeroair_pl.degradations.blurred import blur_on, width_of
from zeroair_pl.degradations.impulses import salt_and_pepper
from zeroair_pl.degradations.jpeg import Jpeg
from zeroair_pl.degradations.jpeg_tables import Tables, blockiness, found_in, middle
from zeroair_pl.degradations.maps import quantiles
from zeroair_pl.degradations.missing import Missing
from zeroair_pl.degradations.noise_level import estimate_noise_level, rounding, signs
from zeroair_pl.degradations.spectrum import LOSSY
from zeroair_pl.degradations.steps import ramp, step
from zeroair_pl.degradations.streaks import Streaks
from zeroair_pl.tensors.views import View

STRONG = 50.0  # highest quality whose artifacts are removed; those of a better one are hard to see
# Where a family amplifies them: quality up to which they are removed, and from which on nothing is.
AMPLIFIED = 80.0, 90.0
BLOCKY = 0.06  # blockiness below which the steps are not searched, which takes time
PASSES, MOMENTUM, TRUST = 8, 0.5, 0.35  # as in the configs for JPEG or rain alone
PASSES_OF_BLUR = 12  # as in the config for blur alone

FAINT, VISIBLE = 2 / 255, 4 / 255  # σ: noise up to the first is not removed first, noise above the second completely
LEAST = 0.02  # a share up to this counts as 0
LEFT = 0.25  # noise level of the denoised photo, in units of σ
ENDS = 0.03, 0.95  # values to which the darkest and the brightest part are stretched, for the pass of the prior
STRETCH = 8.0  # largest stretch


@dataclass
class Cleared:
    """What was removed from a photo, in the order of its origin: rain fell before specks came, and JPEG was last."""

    rain: Streaks | None = None
    blur: Blur | None = None
    specks: Missing | None = None
    jpeg: Jpeg | None = None
    tables: Tables | None = None  # of the file, whether they were removed or not

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.rain, self.blur, self.specks, self.jpeg))

    @property
    def share(self) -> Tensor:
        """The largest share of what was found that was removed, 0 to 1."""
        found: list[Degradation | None] = [self.rain, self.blur, self.specks, self.jpeg]
        return torch.stack([each.amount for each in found if each is not None]).amax(0)

    def words(self) -> list[str]:
        """What was removed, in words."""
        found = []
        if self.rain is not None:
            found.append("rain or snow: bright streaks of one direction")
        if self.blur is not None:
            width = width_of(self.blur.get_buffer("h"))
            found.append(f"{float(self.blur.amount):.0%} of a blur of {width:.1f} px: nothing is sharp")
        if self.specks is not None:
            found.append("black and white specks everywhere")
        if self.jpeg is not None and self.jpeg.tables is not None:
            found.append(f"JPEG of quality {self.jpeg.tables.quality():.0f}")
        return found


def cleared(y: Tensor, side: Side, denoise: Denoise) -> tuple[Tensor, Cleared]:
    """The photo ``y`` (1, 3, H, W) without strong JPEG, specks, blur and rain, and what was found of them."""
    found = Cleared()
    tables = found.tables = tables_of(y, side)
    if tables is not None and tables.quality() <= STRONG:
        found.jpeg = Jpeg()
        found.jpeg.tables = tables
        y = unblocked(y, tables, denoise)
    if salt_and_pepper(y) > 0.5:
        found.specks = Missing()
        found.specks.initialize(y, {}, denoise)
        y = _annealed(found.specks, found.specks.first_estimate(y), y, denoise)
    coded = found.specks is not None or (tables is not None and tables.quality() < LOSSY)
    if (blur := blur_on(y, denoise, {"denoised": True} if coded else {})) is not None:
        found.blur = blur
        y = sharpened(y, blur, denoise)
    elif (rain := rain_on(y, denoise)) is not None:  # sharp streaks would speak against a blur
        found.rain = rain
        y = dried(y, rain, denoise)
    return y, found


def tables_of(y: Tensor, side: Side) -> Tables | None:
    """The quantization tables with which a photo (1, 3, H, W) was saved as a JPEG, or ``None``.

    The photo's own file states them. For other photos they are found from the pixels, if blocks show.
    """
    if "jpeg" in side:
        return Tables.of_file(side["jpeg"])
    part = middle(y)
    return found_in(part) if min(part.shape[-2:]) >= 48 and blockiness(part) > BLOCKY else None


def unblocked(y: Tensor, tables: Tables, denoise: Denoise) -> Tensor:
    """The photo ``y`` (1, 3, H, W) without the artifacts of JPEG."""
    jpeg = Jpeg()
    jpeg.take(y, tables)
    return _annealed(jpeg, y, y, denoise)


def faintly_unblocked(y: Tensor, found: Cleared, amount: Tensor, denoise: Denoise) -> Tensor:
    """``y`` (1, 3, H, W) without the faint JPEG that a family would amplify; ``found.jpeg`` has it then.

    A family of a small ``amount`` amplifies little, so as small a share is removed. Three passes do it
    (``Jpeg.cleared``). A photo that was cleared of anything else has no longer the values that the file decodes to.
    """
    if found or found.tables is None:
        return y
    share = amount * ramp(found.tables.quality(), *reversed(AMPLIFIED))
    if float(share) < LEAST:
        return y
    jpeg = Jpeg()
    jpeg.take(y, found.tables)
    jpeg.amount.copy_(share)
    found.jpeg = jpeg
    with torch.no_grad():
        return torch.lerp(y, jpeg.cleared(y, denoise).clamp(0, 1), share)


def rain_on(y: Tensor, denoise: Denoise) -> Streaks | None:
    """The streaks on a photo (1, 3, H, W), if they are surely rain or snow."""
    share = Streaks.severity(y)
    if share < LEAST:
        return None
    rain = Streaks()
    rain.amount.fill_(share)
    rain.initialize(y, {}, denoise)
    return rain


def dried(y: Tensor, rain: Streaks, denoise: Denoise) -> Tensor:
    """The photo ``y`` (1, 3, H, W) without the streaks ``rain``."""
    return _annealed(rain, rain.first_estimate(y), y, denoise)


def sharpened(y: Tensor, blur: Blur, denoise: Denoise) -> Tensor:
    """The photo ``y`` (1, 3, H, W) without the share ``amount`` of its blur."""
    passes = round(PASSES_OF_BLUR * blur.enough)
    sharp = _annealed(blur, blur.first_estimate(y), y, denoise, passes)
    return torch.lerp(y, sharp, blur.amount)


def _annealed(phi: Degradation, z: Tensor, y: Tensor, denoise: Denoise, passes: int = PASSES) -> Tensor:
    """The photo ``y`` without φ by the steps of ``AnnealedSampler``, from the first image ``z``."""
    first, last = phi.levels() or (0.0, 0.0)
    before, halved = z, round(phi.coarse * passes)
    with torch.no_grad():
        for k in range(passes):
            s, view = first * (last / first) ** (k / (passes - 1)), View(k, halved=k < halved)
            x0 = view.back(denoise(view.of(z), s), z)
            phi.learn(x0, y, Moment(s, s, k / (passes - 1)))
            center = x0 + MOMENTUM * (x0 - before) if k else x0
            z, before = phi.proximal(center, y, y.new_tensor([s / TRUST**0.5])), x0
        return phi.result(before, z).clamp(0, 1)


def visible(sigma: float) -> float:
    """How much noise of the standard deviation ``sigma`` shows, 0 to 1."""
    return ramp(sigma, FAINT, VISIBLE)


def without_noise(y: Tensor, denoise: Denoise) -> tuple[Tensor, float, float]:
    """The photo ``y`` (1, 3, H, W) without its visible white noise; takes one pass of the prior if there may be some.

    A tone curve or a division by the transmission makes noise uneven and skewed. Before it, the noise is the same
    everywhere, so the prior removes it best there. Dark and pale photos are stretched, since the prior knows photos of
    full contrast. Where noise was cut off at black, the mean of the values is too bright, which is corrected. The
    residual of the pass distinguishes white noise from texture, see ``matched_noise_level``.

    Returns:
        The photo, σ, and the share of the noise that was removed, 0 to 1.
    """
    sigma = max(estimate_noise_level(y), rounding(y))
    if visible(sigma) == 0:
        return y, sigma, 0.0
    low, high = (float(quantiles(y.flatten(1)[:, None], q)) for q in (0.005, 0.995))
    gain = min(max((ENDS[1] - ENDS[0]) / max(high - low, 1e-3), 1.0), STRETCH)
    shift = ENDS[0] - gain * low if gain > 1 else 0.0
    with torch.no_grad():
        clean = (denoise(gain * y + shift, gain * sigma) - shift) / gain
    strength, moment, neighbors = signs(y - clean)
    share = visible(strength) * step((3.7 - moment) / 0.1) * step((0.15 - neighbors) / 0.03)
    if share < LEAST:
        return y, sigma, 0.0
    return torch.lerp(y, _without_floor(clean, sigma).clamp(0, 1), share), sigma, share


def _without_floor(mean: Tensor, sigma: float) -> Tensor:
    """m of values max(0, m + n), n ~ N(0, σ²), from their mean; m is at least 0."""
    table = _floored().to(mean)
    steps = len(table) - 1
    place = (mean / sigma).clamp(0, TOP) * (steps / TOP)
    below = place.floor().clamp(max=steps - 1).long()
    found = sigma * torch.lerp(table[below], table[below + 1], place - below)
    return torch.where(mean < TOP * sigma, found, mean)


TOP = 3.5  # from this mean on, in units of σ, the cut changes nothing


@lru_cache(maxsize=1)
def _floored() -> Tensor:
    """m/σ for means of 0, …, ``TOP``, in units of σ: the inverse of m·Φ(m) + exp(−m²/2)/√(2π)."""
    m = torch.linspace(0, TOP, 4096, dtype=torch.float64)
    means = m * torch.special.ndtr(m) + torch.exp(-m * m / 2) / math.sqrt(2 * math.pi)
    wanted = torch.linspace(0, TOP, 257, dtype=torch.float64)
    at = torch.searchsorted(means, wanted).clamp(max=len(m) - 1)
    return m[at].float()
