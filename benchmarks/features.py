"""Whether distances of features order degradations as people do.

    python benchmarks/features.py [--photos FOLDER] [--alex FILE] [--vgg FILE]

Pictures (those of unlike.py, and photographs of FOLDER) are degraded in ways of rising strength. Measured are

    order       share of pictures whose distance to the degraded one rises with the strength at every step
    to blur     distance after a change that people hardly see (a shift by a pixel, a mild change of tone), or after
                noise, relative to that after a blur of the same PSNR; the median and the largest

of the squared error of pixels, the default of ``Perceptual`` (features of the prior), and LPIPS with AlexNet and
``Perceptual`` with VGG16 where files of their weights are given. Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import io
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
import torch.nn.functional as F
import unlike
from machine import option
from PIL import Image
from torch import Tensor

from zeroair_pl.degradations import Noise
from zeroair_pl.guidance import Lpips, Perceptual
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.priors import UNetPrior
from zeroair_pl.tensors.per_image import build_per_image

Distance = Callable[[Tensor, Tensor], float]
Change = Callable[[Tensor, float], Tensor]
ROUNDS = 20  # of the search for a blur


def blur(x: Tensor, radius: float) -> Tensor:
    """A Gaussian of that standard deviation in pixels; the edges are reflected."""
    half = min(int(3 * radius + 1), min(x.shape[-2:]) - 1)
    taps = torch.exp(-0.5 * (torch.arange(-half, half + 1) / radius).square())
    row = (taps / taps.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    x = F.conv2d(F.pad(x, [half] * 4, mode="reflect"), row, groups=3)
    return F.conv2d(x, row.mT, groups=3)


def noise(x: Tensor, sigma: float) -> Tensor:
    """White noise of that standard deviation, in units of 1/255."""
    return (x + sigma / 255 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


def jpeg(x: Tensor, loss: float) -> Tensor:
    """JPEG of the quality 100 − ``loss``."""
    data = io.BytesIO()
    Image.fromarray((255 * x[0].permute(1, 2, 0).numpy()).round().astype(np.uint8)).save(
        data, "JPEG", quality=round(100 - loss)
    )
    return torch.from_numpy(np.array(Image.open(data), np.float32) / 255).permute(2, 0, 1)[None]


def shift(x: Tensor, pixels: float) -> Tensor:
    """To the right, by a part of a pixel too; what leaves the picture comes in on the other side."""
    whole = int(pixels)
    return torch.lerp(torch.roll(x, whole, -1), torch.roll(x, whole + 1, -1), pixels - whole)


def darker(x: Tensor, share: float) -> Tensor:
    return (1 - share) * x


STRENGTHS: dict[str, tuple[Change, tuple[float, ...]]] = {
    "blur": (blur, (0.5, 0.8, 1.2, 2.0, 3.0)),
    "noise": (noise, (3, 6, 12, 25, 50)),
    "JPEG": (jpeg, (5, 20, 50, 75, 92)),
    "shift": (shift, (0.25, 0.5, 1, 2, 4)),
    "darker": (darker, (0.02, 0.05, 0.1, 0.2, 0.4)),
}
AGAINST_BLUR: dict[str, Callable[[Tensor], Tensor]] = {
    "shift by 1 px": lambda x: shift(x, 1),
    "10 % darker": lambda x: darker(x, 0.1),
    "gamma of 1.15": lambda x: x**1.15,
    "noise of 12": lambda x: noise(x, 12),
}


def measure(options: argparse.Namespace) -> int:
    """Prints the shares for each distance, and writes the JSON file."""
    found = measured(pictures(options), distances(options))
    for name, row in found.items():
        print(f"{name:<22} order {row['order']}\n{'':<22} to blur {row['to blur']}")
    print(f"all numbers: {machine.write(options.name, {'distances': found, **machine.described()})}")
    return 0


def measured(images: list[Tensor], kinds: dict[str, Distance]) -> dict[str, Any]:
    """For each distance the share of pictures in order, and the distances relative to a blur."""
    found: dict[str, Any] = {name: {"order": {}, "to blur": {}} for name in kinds}
    for change, (function, values) in STRENGTHS.items():
        changed = [[function(x, value) for value in values] for x in images]
        for name, distance in kinds.items():
            rows = [[distance(y, x) for y in each] for x, each in zip(images, changed, strict=True)]
            found[name]["order"][change] = round(
                sum(all(a < b for a, b in pairwise(row)) for row in rows) / len(rows), 3
            )
    for change, once in AGAINST_BLUR.items():
        triples = [(x, once(x), blurred) for x in images if (blurred := _as_far(once(x), x)) is not None]
        for name, distance in kinds.items():
            ratios = [distance(y, x) / distance(blurred, x) for x, y, blurred in triples]
            both = {"median": statistics.median(ratios), "largest": max(ratios)}
            found[name]["to blur"][change] = {key: round(value, 3) for key, value in both.items()} | {"of": len(ratios)}
    return found


def _as_far(y: Tensor, x: Tensor) -> Tensor | None:
    """x blurred until its squared error is that of y; ``None`` if no blur reaches it."""
    wanted, low, high = squared(y, x), 0.05, 16.0
    for _ in range(ROUNDS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if squared(blur(x, middle), x) < wanted else (low, middle)
    found = blur(x, low)
    return found if abs(squared(found, x) / wanted - 1) < 0.05 else None


def squared(y: Tensor, x: Tensor) -> float:
    return float((y - x).square().mean())


def distances(options: argparse.Namespace) -> dict[str, Distance]:
    prior = UNetPrior()
    found: dict[str, Distance] = {"pixels": squared, "Perceptual": distance_of(Perceptual(), prior)}
    if options.vgg:
        found["Perceptual, VGG16"] = distance_of(Perceptual("vgg16.tv_in1k", weights=options.vgg), prior)
    if options.alex:
        found["Lpips, AlexNet"] = distance_of(Lpips("alex", options.alex), prior)
    return found


def distance_of(loss: Perceptual | Lpips, prior: UNetPrior) -> Distance:
    """The value of a loss as a distance between two images, with a degradation that changes nothing."""

    def distance(y: Tensor, x: Tensor) -> float:
        phi = build_per_image(Noise, ["picture"], 0, "degradation")
        level = torch.tensor([0.1])
        state = GuidanceState(x, y, 0.5, "II", level, level, phi, prior=prior)
        with torch.no_grad():
            return float(loss(state))

    return distance


def pictures(options: argparse.Namespace) -> list[Tensor]:
    """(1, 3, H, W) each, in [0, 1]."""
    drawn = [unlike.composed(kind, number, options.size) for kind in unlike.KINDS for number in range(options.count)]
    found = [torch.from_numpy(each).float().permute(2, 0, 1)[None] for each in drawn]
    if options.photos:
        found += [load_photo(source.path).pixels[None] for source in find_images(options.photos)]
    return found


main = machine.Command(
    measure,
    __doc__,
    option("--photos", type=Path, help="folder of clean photographs"),
    option("--alex", help="file of AlexNet's weights, as torchvision publishes it"),
    option("--vgg", help="file of VGG16's weights, as torchvision or timm publish it"),
    option("--count", type=int, default=2, help="drawn pictures of each kind"),
    option("--size", type=int, default=128, help="of the drawn pictures, in pixels"),
    name="features",
)

if __name__ == "__main__":
    raise SystemExit(main())
