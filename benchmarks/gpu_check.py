"""All checks that need a GPU, in one command with a time limit.

    make gpu-check                                               or, with options,
    python benchmarks/gpu_check.py [--minutes 9] [--photos FOLDER] [--out FOLDER] [--batches 1 4 16 64]

    equality    difference between the results of photos that are fitted at once and one by one
    speed       fits of 1, 4, 16 and 64 photos at once; 16 at once should be six times as fast as one by one
    adm         a network of the size of the paper's prior with random weights in bfloat16: the time of a fit relative
                to that of its passes
    training    continues the training of the bundled prior for the rest of the time, if there are photos; OUT/prior has
                the result

    python benchmarks/gpu_check.py --pack FOLDER [--photos gpu-photos]

writes small copies of photos of FOLDER, 50 MB in all, to copy to a machine with a GPU. OUT is $OUT, else
restored/gpu-check. OUT/gpu_check.json is written after each part, so that an interruption loses only the current part.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clocks
import gpu_fits
import machine
from clocks import crops, goal
from machine import option

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from zeroair_pl.priors.hub.adm_layout import Architecture, Settings

OUT = Path(os.environ.get("OUT") or Path("restored") / "gpu-check")
NETWORK = ((64, 128, 192, 256), (2, 2, 2, 3), 2)  # of the prior that is trained on
PACKED = 50_000_000  # bytes of packed photos
SHORT_SIDE, QUALITY = 384, 88
FASTER = 6.0  # goal: photos per minute of ``AT_ONCE`` at once, relative to one at a time
AT_ONCE = 16
ADM_MOST = 4  # photos at once with the network of ADM's size
APART = 0.5  # largest mean difference, in 1/255, between a photo alone and in a batch: half a step of 8 bits
LEAST = 90.0  # seconds; with less time, there is no training: to measure the time of a step takes most of them
TRIED = 30  # steps for measuring the time of a step
RECIPE: dict[str, Any] = {"steps": 1, "lr": 3e-4, "warmup": 100, "decay": 0.7, "average": 0.999, "kept": 0.25}


def measure(options: argparse.Namespace) -> int:
    """Packs photos, or runs all parts on the GPU."""
    began = time.monotonic()
    if options.pack:
        return pack(options.pack, options.photos)
    import torch

    from zeroair_pl.priors.hub.adm_layout import RELEASED

    if not torch.cuda.is_available():
        raise ConfigError("there is no GPU on this machine; benchmarks/throughput.py measures CPUs.")
    adm = next(item for item in RELEASED.items() if item[0].width == 256 and item[0].classes is None)
    return check(options, "cuda", adm, began + 60 * options.minutes)


def check(options: argparse.Namespace, device: str, adm: tuple[Architecture, Settings], end: float) -> int:
    """Runs all parts on ``device`` until the time ``end`` of the monotonic clock; returns 1 if a goal is missed."""
    about: dict[str, Any] = {**machine.described(), "side": options.side, "goals": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("equality", equality), ("speed", speed), ("adm", large)):
            if time.monotonic() > end:
                print(f"{name}: no time is left")
                continue
            about[name] = part(options, device, Path(folder), adm)
            about["goals"] += about[name].pop("goals", [])
            path = machine.write("gpu_check", about, options.out)
    about["training"] = train(options, device, end)
    path = machine.write("gpu_check", about, options.out)
    print(f"all numbers: {path}")
    return 0 if all(each["met"] for each in about["goals"]) else 1


def equality(options: argparse.Namespace, device: str, folder: Path, adm: Any) -> dict[str, Any]:
    """Compares the results of a few photos at once and one by one, with and without adversarial networks."""
    import torch

    from zeroair_pl.method.fit import fit

    y, trainer, found = _photos(options, folder, 4), _trainer(device), {}
    for config in ("dehaze", "dehaze+ablations/gan"):
        method = clocks.method_of(*config.split("+"))
        names = [str(i) for i in range(len(y))]
        together = fit(y, names, method, trainer=trainer).restored
        alone = torch.cat([fit(y[i : i + 1], [name], method, trainer=trainer).restored for i, name in enumerate(names)])
        found[config] = round(float((together - alone).abs().mean()) * 255, 4)
    goals = [goal(f"difference of photos at once, {config}", value, APART, False) for config, value in found.items()]
    return {"difference": found, "goals": goals}


def speed(options: argparse.Namespace, device: str, folder: Path, adm: Any) -> dict[str, Any]:
    """Photos per minute, by the number of photos that are fitted at once."""
    method, y = clocks.method_of("dehaze"), _photos(options, folder, max(options.batches))
    rows = [gpu_fits.fits(method, y[:batch], device, 1) for batch in options.batches]
    by_batch = {row["batch"]: row["fit_per_minute"] for row in rows}
    for row in rows:
        print(f"speed: {row['batch']:3d} at once: {row['fit_per_minute']:.1f} photos a minute")
    most = AT_ONCE
    if not {1, most} <= set(by_batch):
        return {"rows": rows}
    ratio = round(by_batch[most] / by_batch[1], 2)
    return {"rows": rows, "goals": [goal(f"{most} at once over one at a time", ratio, FASTER)]}


def large(options: argparse.Namespace, device: str, folder: Path, adm: tuple[Architecture, Settings]) -> dict[str, Any]:
    """The time of a fit with a network of ADM's size, relative to that of its passes."""
    prior = gpu_fits.random_network(folder / "adm", *adm)
    method = gpu_fits.with_prior(clocks.method_of("dehaze"), prior)
    parameters = sum(each.numel() for each in prior.unet.parameters())
    y = _photos(options, folder, ADM_MOST)
    rows = [gpu_fits.fits(method, y[:n], device, 1) for n in options.batches if n <= ADM_MOST]
    for row in rows:
        print(f"adm: {row['batch']} at once: {row['fit_s']} s, of which its own passes {row['forward_s']} s")
    return {"parameters": parameters, "rows": rows}


def train(options: argparse.Namespace, device: str, end: float) -> dict[str, Any]:
    """Trains ``options.start`` for as many steps as the time allows; nothing without photos or time."""
    from zeroair_pl.commands.train import Network, train
    from zeroair_pl.priors.training.module import Optimization
    from zeroair_pl.priors.training.photos import Data

    if not options.photos.is_dir() or end - time.monotonic() < LEAST:
        reason = "no time is left" if options.photos.is_dir() else f"there are no photos in {options.photos}"
        print(f"training: {reason}")
        return {"steps": 0, "reason": reason}
    data = Data(str(options.photos), crop=options.crop, batch=options.batch, short_side=SHORT_SIDE,
                held_out=options.held_out, workers=0 if device == "cpu" else 8)  # fmt: skip
    settings: dict[str, Any] = {
        "data": data, "network": Network(*NETWORK), "start": options.start, "trainer": _trainer(device),
    }  # fmt: skip

    def seconds(steps: int, out: Path, every: int) -> float:
        began = time.monotonic()
        recipe = Optimization(**{**RECIPE, "steps": steps, "validate_every": every})
        train(**settings, optimization=recipe, out=out, overwrite=True, resolved="gpu-check: true\n")
        return time.monotonic() - began

    with tempfile.TemporaryDirectory() as name:  # two short trainings: the time of a step, and of the rest
        few, more = (seconds(steps, Path(name) / "tried", 3 * TRIED) for steps in (TRIED, 3 * TRIED))
    pace = max(1e-3, (more - few) / (2 * TRIED))
    left = end - time.monotonic() - 3 * max(0.0, few - TRIED * pace)
    steps = min(int(0.9 * left / pace), options.most)
    if steps < 1:
        print("training: no time is left")
        return {"steps": 0, "reason": "no time is left"}
    print(f"training: {pace:.3f} s a step, {steps} steps")
    took = seconds(steps, options.out / "prior", max(TRIED, steps // 3))
    return {"steps": steps, "batch": options.batch, "crop": options.crop, "seconds": round(took, 1)}


def pack(folder: Path, out: Path) -> int:
    """Writes small JPEG copies of photos, evenly chosen from the folder, until they have ``PACKED`` bytes."""
    from PIL import Image, ImageOps

    from zeroair_pl.photos.finding import find_images

    sources, size, count = find_images(folder), 0, 0
    out.mkdir(parents=True, exist_ok=True)
    step = next(k for k in range(len(sources) * 5 // 8 | 1, 2 * len(sources) + 2) if math.gcd(k, len(sources)) == 1)
    for k in range(len(sources)):
        try:
            with Image.open(sources[k * step % len(sources)].path) as file:
                image = ImageOps.exif_transpose(file).convert("RGB")
        except OSError:
            continue
        scale = SHORT_SIDE / min(image.size)
        if scale < 1:
            wanted = (round(scale * image.width), round(scale * image.height))
            image = image.resize(wanted, Image.Resampling.LANCZOS)
        data = io.BytesIO()
        image.save(data, "JPEG", quality=QUALITY, subsampling=0)
        if size + data.tell() > PACKED:
            break
        (out / f"{count:05d}.jpg").write_bytes(data.getvalue())
        size, count = size + data.tell(), count + 1
    print(f"{count} photos, {size / 1e6:.1f} MB, in {out}")
    return 0 if count else 1


def _photos(options: argparse.Namespace, folder: Path, count: int) -> Any:
    import torch

    from zeroair_pl.photos.reading import load_photo

    files = crops(["dehaze"], options.side, count, folder / f"photos-{count}")
    return torch.stack([load_photo(path).pixels for path in files])


def _trainer(device: str) -> dict[str, Any]:
    return {"accelerator": {"cuda": "gpu"}.get(device, device)}


main = machine.Command(
    measure,
    __doc__,
    option("--minutes", type=float, default=9, help="for everything"),
    option("--photos", type=Path, default=Path("gpu-photos"), help="photographs to train on"),
    option("--pack", type=Path, help="only write the photos of this folder, small, into --photos"),
    option("--out", type=Path, default=OUT, help="folder of the numbers and of the trained prior"),
    option("--side", type=int, default=256, help="of the photos that are fitted, in pixels"),
    option("--batches", type=int, nargs="+", default=[1, 4, 16, 64], help="photos at once"),
    option("--start", default="small", help="prior whose weights are trained on"),
    option("--crop", type=int, default=128, help="of the training, in pixels"),
    option("--batch", type=int, default=32, help="of the training"),
    option("--most", type=int, default=200_000, help="steps of the training"),
    option("--held_out", type=int, default=8, help="photographs to measure the training with"),
)

if __name__ == "__main__":
    raise SystemExit(main())
