"""Vignetting: a lens gives less light to the corners than to the middle."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.spectrum import LUMA

SIDE = 96  # pixels, the long side of the photo in which it is looked for
POWERS = (2.0, 3.0, 4.0)
LEAST, MOST, STEP = -0.6, 1.6, 0.05  # of the falloff, which is searched from the one to the other
USUAL = 0.1  # falloff at which photos without vignetting are found: the middle is where the light is
ODD = 1.4  # beyond, no lens is that dark: it is the scene, such as a thing before a white wall
SPREAD = 0.006  # of the logarithm of brightness from pixel to pixel, where there is no edge


class Vignette(Degradation):
    """y = x·exp(−a r^p) + n, r from 0 in the middle to 1 in the corners.

    a and p are found from the photo before the fit: in most places of a photo, brightness changes little from pixel to
    pixel, so that what changes everywhere in the same way, outwards, is the lens. The changes of log-brightness along
    the radius have a Cauchy density around −a p r^(p−1), whose likelihood is searched globally; edges are outliers.
    """

    pointwise = True

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        found = falloff_of(y)
        at_corner = max(0.0, found.at_corner - USUAL) if found.at_corner < ODD else 0.0
        distance = radius(y.shape[-2], y.shape[-1]).to(y)
        light = torch.exp(-float(self.amount) * at_corner * distance**found.power)
        self.register_buffer("light", light[None, None])
        super().initialize(y, side, denoise)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.get_buffer("light")

    def invert(self, y: Tensor) -> Tensor:
        return y / self.get_buffer("light")

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.noise.parameters()), "lr": lr}]

    def diagnostics(self) -> dict[str, Tensor]:
        return {"light": self.get_buffer("light")}


class Falloff(NamedTuple):
    """exp(−a r^p).

    Attributes:
        at_corner: a, the logarithm of how much less light the corners have.
        power: p.
    """

    at_corner: float
    power: float


def falloff_of(y: Tensor) -> Falloff:
    """The likeliest one of a photo (1, 3, H, W); none for a photo that is black or white nearly everywhere."""
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
    outwards = (inner[0] * down + inner[1] * across) / (2 * r.clamp(min=1e-6))  # change over the whole radius
    seen = small[0, :, 1:-1, 1:-1]
    usable = (seen.amax(0) < 0.97) & (seen.amin(0) > 0.01) & (r > 0.1)
    if int(usable.sum()) < 200:
        return Falloff(0.0, POWERS[0])
    outwards, r = outwards[usable], r[usable]
    sizes = torch.arange(LEAST, MOST + STEP / 2, STEP)
    tried = []
    for power in POWERS:
        missed = outwards + sizes[:, None] * power * r ** (power - 1)
        misfit = torch.log1p((missed / (SPREAD * corner)).square()).mean(1)
        best = int(misfit.argmin())
        tried.append((float(misfit[best]), float(sizes[best]), power))
    _, at_corner, power = min(tried)
    return Falloff(at_corner, power)


def radius(height: int, width: int) -> Tensor:
    """(H, W): distance from the middle, 1 in the corners."""
    down, across = _places(height)[:, None], _places(width)[None]
    return torch.hypot(down, across) / max(math.hypot(height - 1, width - 1) / 2, 1e-6)


def _places(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float32) - (length - 1) / 2
