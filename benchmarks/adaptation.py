"""What adapting the prior to each photo gains and costs, on photographs and on pictures unlike them.

    python benchmarks/adaptation.py [--photos FOLDER] [--pairs FOLDER] [--rows none GainTuning LowRank] [--count 4]

Each picture is restored by the config ``denoise``, which finds the strength of the noise, and compared with the clean
one. Drawn pictures are those of unlike.py. ``FOLDER`` of ``--photos`` has clean photographs, that of ``--pairs`` has
photos with real noise in ``degraded`` and the same ones in ``clean``. Noise is added in two ways:

    full    σ = 25/255 on the picture as it is; where it is nearly black or white, the file cuts the noise off
    room    σ = 15/255 on the picture with its tones between 0.2 and 0.8, so that none of the noise is cut off

After an interruption, the same command continues. Writes benchmarks/results/NAME.json after every picture.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import machine
import numpy as np
import unlike
from machine import option
from numpy.typing import NDArray

Image = NDArray[Any]
SIGMA = {"full": 25 / 255, "room": 15 / 255}
ROWS: dict[str, Any] = {
    "none": None,
    "GainTuning": "GainTuning",
    "LowRank": "LowRank",
    "GainTuning, sure": {"class_path": "GainTuning", "init_args": {"objective": "sure"}},
}


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each picture and row, and writes the JSON file."""
    path = machine.RESULTS / f"{options.name}.json"
    about: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"sets": {}}
    about |= {"size": options.size, **machine.described()}
    for todo, found in machine.at_once(measured, _todo(options, about["sets"]), options.workers):
        about["sets"][todo.title][todo.name][todo.row] = found
        path = machine.write(options.name, about)
        print(f"{todo.title:<20} {todo.name:<14} {todo.row:<24} {found['psnr']:6.2f} dB", flush=True)
    for title, names in about["sets"].items():
        for row in options.rows[1:]:
            gains = [each[row]["psnr"] - each["none"]["psnr"] for each in names.values() if row in each]
            print(f"{title:<20} {row:<24} {np.mean(gains):+.2f} ({min(gains):+.2f} to {max(gains):+.2f})")
    print(f"all numbers: {path}")
    return 0


class Todo(NamedTuple):
    """A picture of a set, and what to do with the prior."""

    title: str
    name: str
    noisy: Image
    clean: Image
    row: str
    adapt: Any


def _todo(options: argparse.Namespace, sets: dict[str, Any]) -> Iterator[Todo]:
    """What is not among the results ``sets``; adds what pictures these lack."""
    for title, name, noisy, clean in pictures(options):
        found = sets.setdefault(title, {}).setdefault(name, {"input": psnr(noisy, clean)})
        yield from (Todo(title, name, noisy, clean, row, ROWS[row]) for row in options.rows if row not in found)


def measured(todo: Todo) -> dict[str, float]:
    """The quality of the restored picture, and the time."""
    import torch

    from zeroair_pl import Method

    torch.set_num_threads(1)
    method = Method.from_config("denoise", prior={"class_path": "UNetPrior", "init_args": {"adapt": todo.adapt}})
    began = time.process_time()  # of this process, as other programs may run
    restored = method.restore(todo.noisy, name=todo.name)
    return {"psnr": psnr(restored.image, todo.clean), "cpu_seconds": round(time.process_time() - began, 1)}


def pictures(options: argparse.Namespace) -> Iterator[tuple[str, str, Image, Image]]:
    """Set, name, noisy picture and clean picture, both (H, W, 3) of 8 bits."""
    clean = [
        (kind, f"{kind}-{i}", unlike.composed(kind, i, options.size))
        for kind in unlike.KINDS
        for i in range(options.count)
    ]
    if options.photos:
        files = sorted(options.photos.iterdir())[: options.count]
        clean += [("photographs", str(i), _middle(_read(file), options.size) / 255) for i, file in enumerate(files)]
    for kind, name, image in clean:
        for way, sigma in SIGMA.items():
            x = image if way == "full" else 0.2 + 0.6 * image
            noise = np.random.default_rng(list(f"{kind} {name}".encode())).normal(size=x.shape)
            yield f"{kind}, {way}", name, _bits(x + sigma * noise), _bits(x)
    if options.pairs:
        for i, file in enumerate(sorted((options.pairs / "degraded").iterdir())[: options.count]):
            other = next((options.pairs / "clean").glob(f"{file.stem}.*"))
            yield "real noise", str(i), _middle(_read(file), options.size), _middle(_read(other), options.size)


def psnr(found: Image, clean: Image) -> float:
    return round(10 * math.log10(255**2 / float(np.square(found.astype(float) - clean).mean())), 3)


def _bits(values: Image) -> Image:
    return (255 * np.clip(values, 0, 1)).round().astype(np.uint8)


def _read(path: Path) -> Image:
    from PIL import Image as Pillow

    with Pillow.open(path) as file:
        return np.asarray(file.convert("RGB"))


def _middle(image: Image, size: int) -> Image:
    top, left = ((side - size) // 2 for side in image.shape[:2])
    return image[max(0, top) :, max(0, left) :][:size, :size]


main = machine.Command(
    measure,
    __doc__,
    option("--photos", type=Path, help="folder of clean photographs"),
    option("--pairs", type=Path, help="folder with photos in 'degraded' and in 'clean'"),
    option("--rows", nargs="+", default=["none", "GainTuning", "LowRank"], help=f"of {', '.join(ROWS)}"),
    option("--count", type=int, default=4, help="pictures of each set"),
    option("--workers", type=int, default=1, help="pictures at a time, each in a process"),
    option("--size", type=int, default=192, help="of the pictures' sides, in pixels"),
    name="adaptation",
)

if __name__ == "__main__":
    raise SystemExit(main())
