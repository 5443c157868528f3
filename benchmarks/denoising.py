"""How well priors denoise, by noise level: one pass, white Gaussian noise, unclipped, PSNR of images in [0, 1].

    python benchmarks/denoising.py --clean FOLDER [--priors small OTHER ...]

If scikit-image is installed, it also measures non-local means (fast mode, with the true noise level), a denoiser
without learning. Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import math
from importlib.util import find_spec
from pathlib import Path

import machine
import torch
from machine import option
from torch import Tensor

from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.training.module import denoised

SIGMAS = (5, 10, 15, 25, 50, 100, 200)  # in units of 1/255


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each denoiser, and writes the JSON file."""
    clean = [load_photo(source.path).pixels[None] * 2 - 1 for source in find_images(options.clean)]
    rows = {path: by_prior(path, clean) for path in options.priors}
    if find_spec("skimage") is not None:
        rows["non-local means"] = by_means(clean)
    for name, row in rows.items():
        print(f"{Path(name).name:>16}  {'  '.join(f'{value:6.2f}' for value in row)}", flush=True)
    psnr = {Path(name).name: [round(value, 3) for value in row] for name, row in rows.items()}
    content = {"images": len(clean), "set": options.clean.parent.name, "sigma": SIGMAS, "psnr": psnr}
    content |= machine.described()
    print(f"all numbers: {machine.write(options.name, content)}")
    return 0


def noise_on(image: Tensor, i: int, sigma: int) -> Tensor:
    """Unit-variance noise for the i-th image, the same for all denoisers."""
    return torch.randn(image.shape, generator=torch.Generator().manual_seed(1000 * i + sigma))


def by_prior(path: str, clean: list[Tensor]) -> list[float]:
    prior = UNetPrior(path)
    return [
        mean_psnr(clean, [denoised(prior, x, noise_on(x, i, sigma), sigma / 127.5) for i, x in enumerate(clean)])
        for sigma in SIGMAS
    ]


def by_means(clean: list[Tensor]) -> list[float]:
    from skimage.restoration import denoise_nl_means

    found = []
    for sigma in SIGMAS:
        images = []
        for i, x in enumerate(clean):
            noisy = (x + sigma / 127.5 * noise_on(x, i, sigma))[0].permute(1, 2, 0).numpy() / 2 + 0.5
            s = sigma / 255
            smooth = denoise_nl_means(noisy, h=0.8 * s, sigma=s, patch_size=5, patch_distance=6, channel_axis=2)
            images.append(torch.from_numpy(smooth).permute(2, 0, 1)[None].float() * 2 - 1)
        found.append(mean_psnr(clean, images))
    return found


def mean_psnr(clean: list[Tensor], found: list[Tensor]) -> float:
    each = [10 * math.log10(4 / float((a - b).square().mean())) for a, b in zip(clean, found, strict=True)]
    return sum(each) / len(each)


main = machine.Command(
    measure,
    __doc__,
    option("--clean", type=Path, required=True, help="folder of clean images"),
    option("--priors", nargs="+", default=["small"], help="names or folders of priors"),
    name="denoising",
)

if __name__ == "__main__":
    raise SystemExit(main())
