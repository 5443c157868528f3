"""Measures TDM for operators: how well known operators are found from degraded photos, before and after the fit.

    python benchmarks/tdm_operators.py [--photos FOLDER] [--limit N] [--side 192]

Clean photos, by default those of the examples, are blurred, compressed, or get rain, specks or dark corners. For each
operator, it prints the error of the found parameter after ``initialize`` (start) and at the end of the fit, and the
PSNR of the degraded photo, restored, and restored without ``learn``. If start and end are the same, the fit itself
learns nothing about the operator. Writes benchmarks/results/tdm_operators.json.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import machine
import numpy as np
import sets
import torch
import torch.nn.functional as F
from machine import option
from operators import psnr
from PIL import Image
from torch import Tensor

from zeroair_pl.api import Method
from zeroair_pl.degradations import Degradation
from zeroair_pl.degradations.blur import kernel_of
from zeroair_pl.degradations.vignette import radius
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.solve import solve
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo

MARGIN = 12  # px around the photo, which blurs need
RAIN, CORNER, SPECKS = 65.0, 0.5, 0.08  # angle in degrees; share of the light in the corners; share of the pixels


class Case(NamedTuple):
    """An operator.

    Attributes:
        config: the config that restores it.
        quantity: the name of the parameter that is found.
        degrade: maps the photo with its margin (1, 3, H, W) and a generator to the degraded photo and the true value.
        error: maps φ and the true value to the error.
    """

    config: str
    quantity: str
    degrade: Callable[[Tensor, torch.Generator], tuple[Tensor, Any]]
    error: Callable[[Degradation, Any], float]


def blurred(kind: str, size: float) -> Callable[[Tensor, torch.Generator], tuple[Tensor, Any]]:
    def degrade(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
        kernel = kernel_of(kind, size)
        whole = F.conv2d(x, kernel.flip(0, 1)[None, None].repeat(3, 1, 1, 1), groups=3)
        return noisy(whole, 0.008, generator), size

    return degrade


def compressed(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
    data = io.BytesIO()
    Image.fromarray((255 * x[0]).round().byte().permute(1, 2, 0).numpy()).save(data, "JPEG", quality=25, subsampling=0)
    return torch.from_numpy(np.asarray(Image.open(data)).copy()).permute(2, 0, 1)[None].float() / 255, 25.0


def rained_on(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
    height, width = x.shape[-2:]
    down, across = torch.meshgrid(torch.arange(height) + 0.0, torch.arange(width) + 0.0, indexing="ij")
    turn, light = math.radians(RAIN), torch.zeros(height, width)
    for place in torch.rand(height * width // 900, 3, generator=generator):
        dy, dx = down - place[0] * height, across - place[1] * width
        along, aside = dx * math.cos(turn) - dy * math.sin(turn), dx * math.sin(turn) + dy * math.cos(turn)
        light = torch.maximum(light, (0.2 + 0.4 * place[2]) * torch.exp(-aside.square()) * (along.abs() < 15))
    return (x + light).clamp(0, 1), light


def specked(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
    drawn = torch.rand(2, *x.shape[-2:], generator=generator)
    hit = drawn[0] < SPECKS
    return torch.where(hit, (drawn[1] < 0.5).to(x), x), hit


def darkened(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
    light = (1 + (CORNER**-0.5 - 1) * radius(x.shape[-2], x.shape[-1]).square()) ** -2
    return noisy(x * light, 0.01, generator), light


def noisy(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    return ((x + sigma * torch.randn(x.shape, generator=generator)).clamp(0, 1) * 255).round() / 255


def number(name: str) -> Callable[[Degradation, Any], float]:
    """The relative error |found/true − 1| of the diagnostic ``name``."""
    return lambda phi, truth: abs(float(phi.diagnostics()[name].flatten()[0]) / truth - 1)


def distance(name: str) -> Callable[[Degradation, Any], float]:
    """The root-mean-square error of the map ``name``."""
    return lambda phi, truth: float((phi.diagnostics()[name][0, 0] - truth.float()).square().mean().sqrt())


CASES = {
    "gaussian blur": Case("deblur", "width, relative error", blurred("gaussian", 1.5), number("size")),
    "defocus": Case("deblur", "radius, relative error", blurred("disc", 3.0), number("size")),
    "jpeg": Case("dejpeg", "quality, relative error", compressed, number("quality")),
    "rain": Case("derain", "light, RMSE", rained_on, distance("streaks")),
    "specks": Case("despeckle", "which pixels, RMSE", specked, distance("missing")),
    "vignette": Case("devignette", "light, RMSE", darkened, distance("light")),
}


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each operator, and writes the JSON file."""
    photos = [middle(load_photo(each.path).pixels[None], options.side) for each in find_images(options.photos)]
    rows = [summarized(name, list(measured(case, photos[: options.limit]))) for name, case in CASES.items()]
    print(f"all numbers: {machine.write('tdm_operators', {'rows': rows, **machine.described()}, options.folder)}")
    return 0


def measured(case: Case, photos: list[Tensor]) -> Iterator[list[float]]:
    """For each photo: errors at the start and the end; PSNR degraded, restored, and restored without learning."""
    method = Method.from_config(case.config)
    for seed, photo in enumerate(photos):
        whole = photo if "blur" not in case.degrade.__qualname__ else F.pad(photo, [MARGIN] * 4, mode="reflect")
        y, truth = case.degrade(whole, torch.Generator().manual_seed(seed))
        clean = middle(whole, y.shape[-1]) if y.shape != whole.shape else whole
        phi = method.fresh()
        phi.initialize(y, {}, FirstLook(method.prior))
        end = solve(y, ["photo"], method)
        started = case.error(phi, truth)
        with patch.object(type(phi), "learn", Degradation.learn):
            without = solve(y, ["photo"], method).restored[0]
        scores = [psnr(image, clean[0]) for image in (y[0], end.restored[0], without)]
        yield [started, case.error(end.phi[0], truth), *scores]


def summarized(name: str, numbers: list[list[float]]) -> dict[str, Any]:
    start, end, before, after, without = np.mean(numbers, axis=0).round(4).tolist()
    print(
        f"{name:14} {CASES[name].quantity:24} {start:7.3f} -> {end:7.3f}   {before:6.2f} -> {after:6.2f} dB, "
        f"without learning {without:6.2f} dB",
        flush=True,
    )
    errors = {"quantity": CASES[name].quantity, "start": start, "end": end}
    return {"kind": name, **errors, "input": before, "psnr": after, "psnr_without_learning": without}


def middle(image: Tensor, side: int) -> Tensor:
    height, width = image.shape[-2:]
    side = min(side, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


main = machine.Command(
    measure,
    __doc__,
    option("--photos", type=Path, default=sets.EXAMPLES / "clean", help="folder of clean photos"),
    option("--limit", type=int, help="only so many photos"),
    option("--side", type=int, default=192, help="pixels of the middle of each photo"),
    option("--folder", type=Path, help="of the JSON file"),
)

if __name__ == "__main__":
    raise SystemExit(main())
