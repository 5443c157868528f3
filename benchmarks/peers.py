"""Compares published samplers with this method, with the same photos, operators and prior.

    python benchmarks/peers.py --sets FOLDER [--only KIND ...] [--limit N] [--side PIXELS]

FOLDER is that of ``operators.py``. It measures the kinds with a known linear operator, on the middle of each photo. The
peers are those of the optional package deepinv: DPIR, DiffPIR (20 and 100 steps), DPS (100 steps), and DDRM (20 and 100
steps) if deepinv has the singular values of the operator. Each gets this prior as its denoiser, φ and φᵀ as its
operator, and the photo's noise level, and keeps its own other settings. The rows have PSNR and SSIM of RGB, passes of
the prior and seconds, as means over the photos. Writes benchmarks/results/peers.json, or restored/peers.json for a part
of the kinds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from machine import option
from operators import KINDS, Kind, psnr, side_of
from torch import Tensor

from zeroair_pl.api import Method
from zeroair_pl.degradations import Degradation, Missing
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.memory import as_photo
from zeroair_pl.photos.side import checked_side
from zeroair_pl.scores.metrics import ssim

LINEAR = ("blur", "down", "holes")
Peer = Callable[[Tensor, Any, Any], Tensor]  # y, physics, denoiser


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each row, and writes the JSON file."""
    try:
        rows = list(measured(options))
    except ImportError as error:
        raise ConfigError(f"{error}; this benchmark needs 'pip install deepinv'.") from error
    folder = Path("restored") if options.only else None
    print(f"all numbers: {machine.write('peers', {'rows': rows, **machine.described()}, folder)}")
    return 0


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each kind and method, printed as soon as it is measured."""
    sets: Path = options.sets
    found = [each for each in sorted(sets.iterdir()) if (each / "clean").is_dir()] if sets.is_dir() else []
    kinds = [each for each in found if each.name.startswith(LINEAR) and (not options.only or each.name in options.only)]
    if not kinds:
        raise ConfigError(f"--sets {sets}: no kind of {', '.join(LINEAR)} with a folder 'clean' there.")
    for folder in kinds:
        kind = next(KINDS[name] for name in KINDS if folder.name.startswith(name))
        scores: dict[str, list[list[float]]] = {}
        for source in find_images(folder / "degraded")[: options.limit]:
            for name, own in of_photo(folder, source.path, kind, options.side):
                scores.setdefault(name, []).append(own)
        for name, all_of_them in scores.items():
            mean = np.mean(all_of_them, axis=0).tolist()
            decibels, similarity, passes, seconds = (
                round(each, digits) for each, digits in zip(mean, (2, 4, 0, 1), strict=True)
            )
            print(
                f"{folder.name:14}{name:14}{decibels:6.2f} dB {similarity:.4f} {passes:5.0f} passes {seconds:6.1f} s",
                flush=True,
            )
            row = {"kind": folder.name, "method": name, "photos": len(all_of_them)}
            yield {**row, "psnr": decibels, "ssim": similarity, "nfe": passes, "seconds": seconds}


def of_photo(folder: Path, path: Path, kind: Kind, side: int) -> Iterator[tuple[str, list[float]]]:
    """PSNR, SSIM, passes and seconds of each method, for the middle of the photo (``side`` pixels in the clean one)."""
    clean = as_photo(next((folder / "clean").glob(f"{path.stem}.*")))[0].pixels
    degraded = as_photo(path)[0].pixels
    y = middle(degraded, side * degraded.shape[-1] // clean.shape[-1])
    clean = middle(clean, side)[None]
    known = {kind.side: torch.as_tensor(side_of(folder, path.stem))} if kind.side else {}
    if kind.side == "missing":
        known = {"missing": middle(known["missing"], side)}
    method = Method.from_config(kind.config, **kind.settings)
    began = time.perf_counter()
    restored = method.restore(y, path.stem, side=known)
    yield "this project", scored(restored.pixels[None], clean, restored.nfe, time.perf_counter() - began)
    photo, _ = as_photo(y)
    y, phi = photo.pixels[None], method.degradation()
    phi.initialize(y, checked_side(known, photo), FirstLook(method.prior))
    phi.requires_grad_(False)
    for name, peer in peers(kind).items():
        denoiser = denoiser_of(method.prior)
        torch.manual_seed(0)
        began = time.perf_counter()
        found = peer(y, physics_of(phi, y), denoiser).float()
        seconds = time.perf_counter() - began
        yield name, scored(phi.result(found, found), clean, denoiser.passes, seconds)


def middle(image: Tensor, side: int) -> Tensor:
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


def scored(image: Tensor, clean: Tensor, passes: int, seconds: float) -> list[float]:
    image = image.clamp(0, 1)
    return [psnr(image[0], clean[0]), float(ssim(image, clean)), passes, seconds]


def denoiser_of(prior: Any) -> Any:
    """The prior as a denoiser of deepinv, which counts its passes."""
    from deepinv.models import Denoiser

    class Counted(Denoiser):
        passes = 0

        def forward(self, x: Tensor, sigma: Any, **_: Any) -> Tensor:
            self.passes += len(x)
            level = torch.as_tensor(sigma, dtype=torch.float32).flatten().expand(len(x)).clamp(min=1e-3)
            if not (x.requires_grad and torch.is_grad_enabled()):
                return prior.denoise(x.float(), level).to(x.dtype)
            t = prior.timestep(2 * level)  # for DPS, with a gradient
            signal = prior.alpha_bar(t).sqrt().float()[:, None, None, None]
            return ((prior._estimate((2 * x.float() - 1) * signal, t)[0] + 1) / 2).to(x.dtype)

    return Counted()


def physics_of(phi: Degradation, y: Tensor) -> Any:
    """φ as a linear operator of deepinv, with Gaussian noise of the photo's level; holes as deepinv's inpainting."""
    from deepinv.physics import GaussianNoise, Inpainting, LinearPhysics

    noise = GaussianNoise(sigma=max(float(phi.noise_level().detach()), 2 / 255))
    if isinstance(phi, Missing):
        return Inpainting(img_size=tuple(y.shape[1:]), mask=phi.seen.expand_as(y)[0], noise_model=noise)
    size = phi.shape(y)

    def transposed(u: Tensor, **_: Any) -> Tensor:
        found: Any = torch.func.vjp(phi, torch.zeros(len(u), 3, *size))
        return found[1](u.float())[0]

    return LinearPhysics(A=lambda x, **_: phi(x.float()), A_adjoint=transposed, noise_model=noise, max_iter=20)


def peers(kind: Kind) -> dict[str, Peer]:
    """The peers by name. Each starts as its authors state, or from φ's first estimate if x and y differ in size."""

    def dpir(y: Tensor, physics: Any, denoiser: Any) -> Tensor:
        from deepinv.optim import DPIR

        with torch.no_grad():
            return DPIR(sigma=float(physics.noise_model.sigma), denoiser=denoiser)(y, physics)

    def diffpir(steps: int) -> Peer:
        def run(y: Tensor, physics: Any, denoiser: Any) -> Tensor:
            from deepinv.optim.data_fidelity import L2
            from deepinv.sampling import DiffPIR

            return DiffPIR(denoiser, L2(), max_iter=steps)(y, physics, x_init=physics.A_dagger(y).clamp(0, 1))

        return run

    def dps(y: Tensor, physics: Any, denoiser: Any) -> Tensor:
        from deepinv.sampling import DPS

        x: Tensor = DPS(denoiser, num_steps=100)(y, physics, seed=0, x_init=tuple(physics.A_adjoint(y).shape))
        return x

    def ddrm(steps: int) -> Peer:
        def run(y: Tensor, physics: Any, denoiser: Any) -> Tensor:
            from deepinv.sampling import DDRM

            x: Tensor = DDRM(denoiser, sigmas=np.linspace(1, 0, steps))(y * physics.mask, physics, seed=1)
            return x

        return run

    found: dict[str, Peer] = {"DPIR": dpir, "DiffPIR 20": diffpir(20), "DiffPIR 100": diffpir(100), "DPS 100": dps}
    return {**found, "DDRM 20": ddrm(20), "DDRM 100": ddrm(100)} if kind.side == "missing" else found


main = machine.Command(
    measure,
    __doc__,
    option("--sets", type=Path, required=True, help="folder of the kinds"),
    option("--only", nargs="+", default=[], help="of the kinds"),
    option("--limit", type=int, default=None, help="photos of each kind"),
    option("--side", type=int, default=128, help="pixels of the middle of each clean photo"),
)

if __name__ == "__main__":
    raise SystemExit(main())
