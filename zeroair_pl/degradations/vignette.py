"""Vignetting: a lens transmits less light to the corners of a photo than to its middle."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.spectrum import LUMA
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

SIDE = 96  # pixels, the long side of the copy of the photo that is searched
POWERS = (2.0, 3.0, 4.0)
LEAST, MOST, STEP = -0.6, 1.6, 0.05  # grid of the search for the falloff a
USUAL = 0.1  # falloff that the search finds in photos without vignetting, which are often brighter in the middle
ODD = 1.55  # falloff from which on the scene is the cause, such as an object before a white wall
SECTORS = 8  # around the middle of the photo; a lens darkens all of them
DARKER = 0.1, 0.3  # mean of the second and third lowest falloffs that may be of a lens; that surely is
FEW = 60  # pixels; a sector with fewer says nothing
SPREAD = 0.006  # of the changes in log-brightness from pixel to pixel, without edges


class Vignette(Degradation):
    """y = x·exp(−a r^p) + n, r from 0 in the middle to 1 in the corners.

    a and p are found from the photo before the fit. In most places of a photo, brightness changes little from pixel to
    pixel. A change that is the same everywhere along the radius comes from the lens. The changes of log-brightness
    along the radius have a Cauchy density around −a p r^(p−1), in which edges are outliers. A global search finds the a
    and p of the largest likelihood, and then the a of each of eight sectors. A lens darkens all corners, a scene seldom
    does. So the third lowest of these a counts, if the second lowest is large, too.

    Args:
        corner: share of the light in the corners, exp(−a), such as 0.6; null to find it.
        power: p, if ``corner`` is stated.
    """

    pointwise = True

    def __init__(
        self,
        corner: Annotated[float | None, Range(0, 1, above=True)] = None,
        power: Annotated[float, Range(1, 8)] = 2.0,
    ) -> None:
        super().__init__()
        self.corner, self.power = corner, power

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        found = falloff_of(y) if self.corner is None else Falloff(-math.log(self.corner), self.power)
        distance = radius(y.shape[-2], y.shape[-1]).to(y)
        light = torch.exp(-float(self.amount) * found.at_corner * distance**found.power)
        self.register_buffer("light", light[None, None])
        super().initialize(y, side, denoise)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.get_buffer("light")

    def invert(self, y: Tensor) -> Tensor:
        return y / self.get_buffer("light")

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.noise.parameters()), "lr": lr}]

    @property
    def untouched(self) -> bool:
        return bool((self.get_buffer("light") == 1).all())

    def diagnostics(self) -> dict[str, Tensor]:
        return {"light": self.get_buffer("light")}


class Falloff(NamedTuple):
    """The falloff exp(−a r^p), the share of the light at the radius r, which is 0 in the middle and 1 in the corners.

    Attributes:
        at_corner: a; the corners have the share exp(−a) of the light.
        power: p.
    """

    at_corner: float
    power: float


def falloff_of(y: Tensor) -> Falloff:
    """The falloff of the lens in a photo (1, 3, H, W); a = 0 if it shows none, or is black or white."""
    scale = SIDE / max(y.shape[-2:])
    size = (max(3, round(scale * y.shape[-2])), max(3, round(scale * y.shape[-1])))
    small = F.interpolate(y, size=size, mode="area")
    light = (small * y.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1)[0].clamp(min=0.02).log()
    height, width = light.shape
    down, across = torch.meshgrid(_places(height), _places(width), indexing="ij")
    down, across = down[1:-1, 1:-1], across[1:-1, 1:-1]
    corner = math.hypot(height - 1, width - 1) / 2
    r = torch.hypot(down, across) / corner
    inner = light[2:, 1:-1] - light[:-2, 1:-1], light[1:-1, 2:] - light[1:-1, :-2]
    outwards = (inner[0] * down + inner[1] * across) / (2 * r.clamp(min=1e-6))  # change per unit of r
    seen = small[0, :, 1:-1, 1:-1]
    usable = (seen.amax(0) < 0.97) & (seen.amin(0) > 0.01) & (r > 0.1)
    if int(usable.sum()) < 200:
        return Falloff(0.0, POWERS[0])
    sector = ((torch.atan2(down, across) / math.pi + 1) * SECTORS / 2).long().clamp(max=SECTORS - 1)[usable]
    outwards, r = outwards[usable], r[usable]
    spread = SPREAD * corner
    _, power = min((_searched(outwards, r, power, spread)[1], power) for power in POWERS)
    parts = [sector == k for k in range(SECTORS)]
    found = sorted(_searched(outwards[part], r[part], power, spread)[0] if part.sum() > FEW else 0.0 for part in parts)
    sure = ramp((found[1] + found[2]) / 2, *DARKER)
    return Falloff(sure * max(0.0, found[2] - USUAL) if found[2] < ODD else 0.0, power)


def _searched(outwards: Tensor, r: Tensor, power: float, spread: float) -> tuple[float, float]:
    """The most likely a for the changes ``outwards`` (N,) per unit of r (N,), and its misfit."""
    sizes = torch.arange(LEAST, MOST + STEP / 2, STEP)
    missed = outwards + sizes[:, None] * power * r ** (power - 1)
    misfit = torch.log1p((missed / spread).square()).mean(1)
    best = int(misfit.argmin())
    return float(sizes[best]), float(misfit[best])


def radius(height: int, width: int) -> Tensor:
    """r, (H, W): the distance of each pixel from the middle, 1 in the corners."""
    down, across = _places(height)[:, None], _places(width)[None]
    return torch.hypot(down, across) / max(math.hypot(height - 1, width - 1) / 2, 1e-6)


def _places(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float32) - (length - 1) / 2
