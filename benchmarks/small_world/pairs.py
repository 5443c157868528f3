"""Degraded scenes of the small world, with exactly known parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scenes import Scene, scene
from torch import Tensor

from zeroair_pl.tensors.per_image import image_generator

FIRST = 1_000_000  # number of the first held-out scene; a prior is trained on smaller numbers
SENSOR = 2 / 255  # noise of haze, darkness and blur
KINDS = ("haze", "low light", "noise", "blur")


@dataclass(frozen=True)
class Pair:
    """A degraded scene y = φ(x) + n with its true parameters.

    Attributes:
        y: (1, 3, S, S) in [0, 1], clipped and rounded to 8 bits.
        clean: x, of the same shape.
        without_noise: φ(x), of the same shape.
        sigma: standard deviation of n, in units of [0, 1].
        parameters: numbers and maps of φ by name.
    """

    y: Tensor
    clean: Tensor
    without_noise: Tensor
    sigma: float
    parameters: dict[str, Tensor]


def pair(kind: str, number: int, size: int = 64) -> Pair:
    """The held-out scene of this number with one of the ``KINDS`` of degradation; the number also decides the strength.

    haze       t·x + A·(1 − t),  t = exp(−β·depth), β of 0.8 to 1.8
    low light  (L ⊙ x)^γ,  L a smooth map around 0.2 to 0.4, γ of 1 to 1.3
    noise      x,  σ of 15 to 45 /255
    blur       k * x,  k a Gaussian of 0.8 to 1.8 pixels
    """
    world, g = scene(FIRST + number, size), image_generator(0, f"{kind} {number}", "small world")
    strength = float(torch.rand((), generator=g))
    seen, parameters, sigma = world.clean, dict[str, Tensor](), SENSOR
    if kind == "haze":
        seen, parameters = _hazy(world, 0.8 + strength, g)
    elif kind == "low light":
        seen, parameters = _dark(world, 0.2 + 0.2 * strength, 1.3 - 0.3 * strength, g)
    elif kind == "blur":
        seen, parameters = _blurred(world, 0.8 + strength)
    else:
        sigma = (15 + 30 * strength) / 255
    noise = sigma * torch.randn(seen.shape, generator=g)
    return Pair(((seen + noise).clamp(0, 1) * 255).round() / 255, world.clean, seen, sigma, parameters)


def _hazy(world: Scene, beta: float, g: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    t = (-beta * world.depth).exp()
    airlight = 0.85 + 0.1 * torch.rand(1, 1, 1, 1, generator=g) + 0.02 * torch.randn(1, 3, 1, 1, generator=g)
    airlight = airlight.clamp(0, 1)
    return t * world.clean + airlight * (1 - t), {"transmission": t, "airlight": airlight}


def _dark(world: Scene, level: float, gamma: float, g: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    size = world.clean.shape[-2:]
    uneven = F.interpolate(torch.randn(1, 1, 3, 3, generator=g), size, mode="bicubic", align_corners=True)
    light = (level * (0.3 * uneven).exp()).clamp(0.05, 1)
    return (light * world.clean) ** gamma, {"illumination": light, "gamma": torch.tensor(gamma)}


def _blurred(world: Scene, width: float) -> tuple[Tensor, dict[str, Tensor]]:
    radius = math.ceil(3 * width)
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / width) ** 2)
    kernel = line[:, None] * line[None] / line.sum() ** 2
    padded = F.pad(world.clean, [radius] * 4, mode="reflect")
    return F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3), {"kernel": kernel}
