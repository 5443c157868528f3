"""Time and peak memory of a restoration by the size of the photo.

    python benchmarks/sizes.py [--sizes 0.25 1 4 12] [--config dehaze]

For each size, in megapixels, an example photo and its mirror images are tiled to a photo of 4:3. A separate process
restores it, and its peak of resident memory is measured; ``before`` is its memory after loading the libraries and the
prior. Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import clocks
import machine
from machine import option


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each size, and writes the JSON file."""
    if options.restore:
        print(json.dumps(restored(options.restore, options.config)))
        return 0
    rows = []
    print(f"{'Mpx':>6} {'width':>6} {'height':>6} {'seconds':>8} {'MiB':>7} {'before':>7} {'passes':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            photo = Path(folder) / f"{size}.png"
            source = options.photo or clocks.example(options.config[0])
            width, height = mosaic(source, size, photo)
            # Each size needs a separate process, since a peak never falls. A new process starts with the peak of its
            # parent, so the parent must stay small, and does not load torch before.
            words = [sys.executable, __file__, "--restore", str(photo), "--config", *options.config]
            child = subprocess.run(words, capture_output=True, text=True)
            if child.returncode:
                print(f"error: {size} megapixels: {child.stderr.strip()}", file=sys.stderr)
                return 1
            row = {"megapixels": size, "width": width, "height": height, **json.loads(child.stdout.splitlines()[-1])}
            rows.append(row)
            print("{:>6} {:>6} {:>6} {:>8.1f} {:>7.0f} {:>7.0f} {:>6}".format(*row.values()), flush=True)
    about = {"config": options.config, "photo": source.name, **machine.described()}
    print(f"all numbers: {machine.write(options.name, {**about, 'sizes': rows})}")
    return 0


def mosaic(source: Path, megapixels: float, path: Path) -> tuple[int, int]:
    """Writes ``source`` and its mirror images as one photo of so many pixels, and returns its width and height."""
    import numpy as np
    from PIL import Image

    tile = np.asarray(Image.open(source).convert("RGB"))
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    both = np.concatenate([tile, tile[::-1]])
    both = np.concatenate([both, both[:, ::-1]], axis=1)
    times = (-(-height // both.shape[0]), -(-width // both.shape[1]), 1)
    Image.fromarray(np.tile(both, times)[:height, :width]).save(path, compress_level=1)
    return width, height


def restored(photo: Path, config: list[str]) -> dict[str, Any]:
    """Seconds, peak and starting memory in MiB, and forward passes of one restoration in this process."""
    from zeroair_pl import Method, restore

    Method.from_config(config)
    before = _peak()
    results = restore(photo, config, out=photo.parent / "restored", overwrite=True, tensorboard=False, strips=False)
    (row,) = results.rows
    if row.status != "restored":
        raise SystemExit(row.reason)
    return {"seconds": round(row.seconds or 0, 2), "peak": _peak(), "before": before, "nfe": row.nfe}


def _peak() -> float:
    """The most resident memory so far, in MiB."""
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return round(kilobytes / 1024, 1)


main = machine.Command(
    measure,
    __doc__,
    option("--sizes", nargs="+", type=float, default=[0.25, 1, 4, 12], help="in megapixels"),
    option("--config", nargs="+", default=["dehaze"], help="names or paths; later ones override earlier"),
    option("--photo", type=Path, help="to enlarge; one that has what the config removes if not given"),
    option("--restore", type=Path, help=argparse.SUPPRESS),  # for the process of one size
    name="sizes",
)

if __name__ == "__main__":
    raise SystemExit(main())
