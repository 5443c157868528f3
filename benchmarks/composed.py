"""Clean photos degraded with known parameters, to measure how well a fit finds these.

The maps follow from a seed, and do not depend on the brightness of the photo: a tilted plane, smooth blobs and a few
near objects with edges. A guided filter aligns them with the photo's own edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import floors
import torch
import torch.nn.functional as F
from torch import Tensor

MEAN_TRANSMISSION = (0.75, 0.55, 0.35)  # light, middle and dense haze
MEAN_LIGHT = ((0.4, 1.0), (0.2, 1.2), (0.1, 1.4))  # illumination and gamma: dusk, a dim room, night
SIGMA = (5 / 255, 15 / 255, 30 / 255)
SENSOR = 2 / 255  # noise under haze and in low light


@dataclass(frozen=True)
class Composed:
    """A degraded photo and its true parameters.

    Attributes:
        y: (1, 3, H, W) in [0, 1], clipped and rounded to 8 bits, as in a file.
        clean: the clean photo, (1, 3, H, W) in [0, 1].
        transmission, illumination: (1, 1, H, W) in (0, 1]; 1 for kinds without such a degradation.
        airlight: (1, 3, 1, 1), for haze.
        gamma: exponent of the tone curve.
        sigma: standard deviation of the noise.
    """

    y: Tensor
    clean: Tensor
    sigma: float
    transmission: Tensor
    illumination: Tensor
    airlight: Tensor | None = None
    gamma: float = 1.0


def haze(clean: Tensor, strength: int, g: torch.Generator) -> Composed:
    """y = t·x + A·(1 − t) + n with t = exp(−β·depth) and a slightly colored A."""
    wanted = MEAN_TRANSMISSION[strength]
    depth = made_up_map(clean, g)
    t = (depth * math.log(wanted)).exp().clamp(0.15, 0.98)
    airlight = 0.8 + 0.15 * torch.rand(1, 1, 1, 1, generator=g) + 0.02 * torch.randn(1, 3, 1, 1, generator=g)
    airlight = airlight.clamp(0, 1)
    y = _photographed(t * clean + airlight * (1 - t), SENSOR, g)
    return Composed(y, clean, SENSOR, t, torch.ones_like(t), airlight)


def low_light(clean: Tensor, strength: int, g: torch.Generator) -> Composed:
    """y = (L ⊙ x)^γ + n."""
    wanted, gamma = MEAN_LIGHT[strength]
    uneven = made_up_map(clean, g)
    light = (wanted * uneven).clamp(0.05, 1)
    y = _photographed((light * clean) ** gamma, SENSOR, g)
    return Composed(y, clean, SENSOR, torch.ones_like(light), light, gamma=gamma)


def noise(clean: Tensor, strength: int, g: torch.Generator) -> Composed:
    """y = x + n."""
    none = torch.ones_like(clean[:, :1])
    return Composed(_photographed(clean, SIGMA[strength], g), clean, SIGMA[strength], none, none)


COMPOSE: dict[str, Callable[[Tensor, int, torch.Generator], Composed]] = {
    "haze": haze,
    "low light": low_light,
    "noise": noise,
}


def made_up_map(clean: Tensor, g: torch.Generator) -> Tensor:
    """A random map (1, 1, H, W), positive, of mean 1 and a standard deviation of about 0.3."""
    height, width = clean.shape[-2:]
    rows, columns = torch.linspace(1, -1, height)[:, None], torch.linspace(-1, 1, width)[None]
    tilt = torch.randn(2, generator=g) * 0.3
    plane = (0.6 + tilt[0]) * rows + tilt[1] * columns  # usually, higher parts of a photo are farther away
    blobs = F.interpolate(torch.randn(1, 1, 4, 4, generator=g), (height, width), mode="bicubic", align_corners=True)[
        0, 0
    ]
    world = plane + 0.5 * blobs
    for _ in range(3):
        x, y, wide, tall = torch.rand(4, generator=g).tolist()
        inside = ((columns - 2 * x + 1) / (0.2 + 0.3 * wide)) ** 2 + ((rows - 2 * y + 1) / (0.2 + 0.3 * tall)) ** 2 < 1
        world = torch.where(inside, world[inside].min() if bool(inside.any()) else world, world)
    guide = clean[0].mean(0).numpy()
    drawn = torch.from_numpy(floors.guided(guide, world.float().numpy(), max(2, min(height, width) // 32), 1e-3))
    drawn = (drawn - drawn.mean()) / drawn.std()
    shape = (0.3 * drawn).clamp(-0.7, 0.9) + 1
    return (shape / shape.mean())[None, None]


def _photographed(x: Tensor, sigma: float, g: torch.Generator) -> Tensor:
    return ((x + sigma * torch.randn(x.shape, generator=g)).clamp(0, 1) * 255).round() / 255
