"""How little a restoration depends on the size, the crop and the file of a photo.

    python benchmarks/invariance.py PHOTO [PHOTO ...] [--config auto]

A photo is restored whole, at half its size, cropped to the middle 80 %, and after JPEG at quality 90. Each of these
restorations is compared with the same part of the restoration of the whole, by PSNR in dB. Images with 32 dB or more
look the same. Use photos with little noise, since noise makes copies differ too. Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import machine
import numpy as np
from machine import option
from PIL import Image

from zeroair_pl import Method

ALIKE = 32.0  # dB
Values = np.ndarray  # (H, W, 3), 8 bits


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each photo, and writes the JSON file."""
    method = Method.from_config(options.config)
    rows = []
    print("  ".join(f"{name:>8}" for name in ("photo", *COPIES)))
    for path in options.photos:
        photo = np.asarray(Image.open(path).convert("RGB"))
        found = agreement(photo, partial(restored, method, path.name))
        rows.append({"photo": path.name, **found})
        print("  ".join([f"{path.name[:30]:>8}", *(f"{value:8.1f}" for value in found.values())]), flush=True)
    for name in COPIES:
        alike = sum(float(row[name]) >= ALIKE for row in rows)
        print(f"{name}: {alike} of {len(rows)} at {ALIKE:.0f} dB or more")
    about = {"config": options.config, **machine.described(), "photos": rows}
    print(f"all numbers: {machine.write(options.name, about)}")
    return 0


def restored(method: Method, name: str, values: Values) -> Values:
    """The restoration of one copy, with the random numbers of the photo's name."""
    return np.asarray(method.restore(values, name=name).image)


def agreement(photo: Values, restored: Callable[[Values], Values]) -> dict[str, float]:
    """PSNR in dB between the restoration of each copy and the same copy of the restoration (for JPEG, all of it)."""
    whole = restored(photo)
    return {
        name: round(psnr(restored(copy(photo)), whole if name == "jpeg" else copy(whole)), 2)
        for name, copy in COPIES.items()
    }


def halved(photo: Values) -> Values:
    height, width = (side // 2 * 2 for side in photo.shape[:2])
    blocks = photo[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return np.round(blocks.mean((1, 3))).astype(np.uint8)


def cropped(photo: Values) -> Values:
    top, left = (side // 10 for side in photo.shape[:2])
    return np.ascontiguousarray(photo[top : photo.shape[0] - top, left : photo.shape[1] - left])


def exported(photo: Values) -> Values:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


COPIES: dict[str, Callable[[Values], Values]] = {"half": halved, "crop": cropped, "jpeg": exported}


def psnr(a: Values, b: Values) -> float:
    """PSNR of 8-bit images in dB; at most 99."""
    error = np.square(a.astype(float) - b.astype(float)).mean()
    return float(min(99.0, 10 * np.log10(255**2 / max(error, 1e-9))))


main = machine.Command(
    measure,
    __doc__,
    option("photos", nargs="+", type=Path, metavar="PHOTO"),
    option("--config", nargs="+", default=["auto"]),
    name="invariance",
)

if __name__ == "__main__":
    raise SystemExit(main())
