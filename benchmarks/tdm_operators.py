"""Measures TDM for operators: how well known operators are found from degraded photos, before and after the fit.

    python benchmarks/tdm_operators.py [--photos FOLDER] [--limit N] [--side 192]

Clean photos, by default those of the examples, are blurred, compressed, or get rain, specks or dark corners. For each
operator, it prints two errors after ``initialize`` (start) and at the end of the fit, with a goal for the end: that of
the found parameter, and the root-mean-square error of φ(x) for the clean photo x, where values without information
(specks that φ knows) do not count. Then the PSNR of the degraded photo, restored, and restored without ``learn``. If
start and end are the same, the fit itself learns nothing about the operator. Writes
benchmarks/results/tdm_operators.json.
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


Degrade = Callable[[Tensor, torch.Generator], tuple[Tensor, Any, Tensor]]


class Case(NamedTuple):
    """An operator.

    Attributes:
        config: the config that restores it.
        quantity: the name of the parameter that is found.
        degrade: maps the photo with its margin (1, 3, H, W) and a generator to the degraded photo, the true value, and
            the degraded photo without noise, which φ(x) should be.
        error: maps φ and the true value to the error.
        goal: the largest error of the parameter, at the end.
        goal_seen: the largest root-mean-square error of φ(x), at the end.
        reason: for these goals.
    """

    config: str
    quantity: str
    degrade: Degrade
    error: Callable[[Degradation, Any], float]
    goal: float
    goal_seen: float
    reason: str


def blurred(kind: str, size: float) -> Degrade:
    def degrade(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any, Tensor]:
        kernel = kernel_of(kind, size)
        whole = F.conv2d(x, kernel.flip(0, 1)[None, None].repeat(3, 1, 1, 1), groups=3)
        return noisy(whole, 0.008, generator), size, whole

    return degrade


def compressed(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any, Tensor]:
    data = io.BytesIO()
    Image.fromarray((255 * x[0]).round().byte().permute(1, 2, 0).numpy()).save(data, "JPEG", quality=25, subsampling=0)
    y = torch.from_numpy(np.asarray(Image.open(data)).copy()).permute(2, 0, 1)[None].float() / 255
    return y, 25.0, y


def rained_on(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any, Tensor]:
    height, width = x.shape[-2:]
    down, across = torch.meshgrid(torch.arange(height) + 0.0, torch.arange(width) + 0.0, indexing="ij")
    turn, light = math.radians(RAIN), torch.zeros(height, width)
    for place in torch.rand(height * width // 900, 3, generator=generator):
        dy, dx = down - place[0] * height, across - place[1] * width
        along, aside = dx * math.cos(turn) - dy * math.sin(turn), dx * math.sin(turn) + dy * math.cos(turn)
        light = torch.maximum(light, (0.2 + 0.4 * place[2]) * torch.exp(-aside.square()) * (along.abs() < 15))
    return (x + light).clamp(0, 1), light, x + light


def specked(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any, Tensor]:
    drawn = torch.rand(2, *x.shape[-2:], generator=generator)
    hit = drawn[0] < SPECKS
    y = torch.where(hit, (drawn[1] < 0.5).to(x), x)
    return y, hit, y


def darkened(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Any, Tensor]:
    light = (1 + (CORNER**-0.5 - 1) * radius(x.shape[-2], x.shape[-1]).square()) ** -2
    return noisy(x * light, 0.01, generator), light, x * light


def noisy(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    return ((x + sigma * torch.randn(x.shape, generator=generator)).clamp(0, 1) * 255).round() / 255


def number(name: str) -> Callable[[Degradation, Any], float]:
    """The relative error |found/true − 1| of the diagnostic ``name``."""
    return lambda phi, truth: abs(float(phi.diagnostics()[name].flatten()[0]) / truth - 1)


def distance(name: str) -> Callable[[Degradation, Any], float]:
    """The root-mean-square error of the map ``name``."""
    return lambda phi, truth: float((phi.diagnostics()[name][0, 0] - truth.float()).square().mean().sqrt())


@torch.no_grad()
def seen_error(phi: Degradation, clean: Tensor, ideal: Tensor) -> float:
    """The root-mean-square error of φ(x), where each value counts as much as φ says that it has information."""
    height, width = phi.shape(ideal)
    rows, columns = (max(0, length - own) for length, own in zip((height, width), clean.shape[-2:], strict=True))
    x = F.pad(clean, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2], mode="reflect")
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    found = phi(x[..., top : top + height, left : left + width])
    weight = (phi.noise_level().square() / phi.noise_variance(ideal, found)).expand_as(found)
    return float(((weight * (found - ideal).square()).sum() / weight.sum()).sqrt())


SHARP = "a tenth costs a known Gaussian about 0.3 dB; φ(x) as far from y as its noise"
CASES = {
    "gaussian blur": Case(
        "deblur", "width, relative error", blurred("gaussian", 1.5), number("size"), 0.1, 0.008, SHARP
    ),
    "defocus": Case("deblur", "radius, relative error", blurred("disc", 3.0), number("size"), 0.05, 0.008, SHARP),
    "jpeg": Case("dejpeg", "quality, relative error", compressed, number("quality"), 0.05, 0.004, "one of 255 values"),
    "rain": Case(
        "derain", "light, RMSE", rained_on, distance("streaks"), 0.04, 0.04, "a tenth of the streaks' mean light"
    ),
    "specks": Case("despeckle", "which pixels, RMSE", specked, distance("missing"), 0.03, 0.01, "one pixel of 1000"),
    "vignette": Case("devignette", "light, RMSE", darkened, distance("light"), 0.05, 0.03, "a tenth of the lost light"),
}


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each operator, and writes the JSON file."""
    photos = [middle(load_photo(each.path).pixels[None], options.side) for each in find_images(options.photos)]
    rows = [summarized(name, list(measured(case, photos[: options.limit]))) for name, case in CASES.items()]
    print(f"all numbers: {machine.write('tdm_operators', {'rows': rows, **machine.described()}, options.folder)}")
    return 0


def measured(case: Case, photos: list[Tensor]) -> Iterator[list[float]]:
    """For each photo: both errors at the start and the end; PSNR degraded, restored, and restored without learning."""
    method = Method.from_config(case.config)
    for seed, photo in enumerate(photos):
        whole = photo if "blur" not in case.degrade.__qualname__ else F.pad(photo, [MARGIN] * 4, mode="reflect")
        y, truth, ideal = case.degrade(whole, torch.Generator().manual_seed(seed))
        clean = middle(whole, y.shape[-1]) if y.shape != whole.shape else whole
        phi = method.fresh()
        phi.initialize(y, {}, FirstLook(method.prior))
        end = solve(y, ["photo"], method)
        errors = [e for each in (phi, end.phi[0]) for e in (case.error(each, truth), seen_error(each, whole, ideal))]
        with patch.object(type(phi), "learn", Degradation.learn):
            without = solve(y, ["photo"], method).restored[0]
        yield [*errors, *(psnr(image, clean[0]) for image in (y[0], end.restored[0], without))]


def summarized(name: str, numbers: list[list[float]]) -> dict[str, Any]:
    start, seen_start, end, seen, before, after, without = np.mean(numbers, axis=0).round(4).tolist()
    case = CASES[name]
    print(
        f"{name:14} {case.quantity:24} {start:7.3f} -> {end:7.3f} (goal {case.goal:5.3f} {said(end <= case.goal)})   "
        f"φ(x) {seen_start:7.4f} -> {seen:7.4f} (goal {case.goal_seen:5.3f} {said(seen <= case.goal_seen)})   "
        f"{before:6.2f} -> {after:6.2f} dB, without learning {without:6.2f} dB",
        flush=True,
    )
    errors = {"quantity": case.quantity, "start": start, "end": end, "goal": case.goal, "met": end <= case.goal}
    errors |= {"seen_start": seen_start, "seen": seen, "goal_seen": case.goal_seen, "met_seen": seen <= case.goal_seen}
    scores = {"input": before, "psnr": after, "psnr_without_learning": without}
    return {"kind": name, **errors, "reason": case.reason, **scores, "each": np.round(numbers, 4).tolist()}


def said(met: bool) -> str:
    return "met" if met else "MISSED"


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
