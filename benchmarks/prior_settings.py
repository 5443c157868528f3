"""Time of one forward pass of a prior by its settings: precision, memory layout and ``torch.compile``.

    python benchmarks/prior_settings.py [--path small] [--side 256] [--repeat 5] [--precision float32 bfloat16 float16]

The settings take turns, so that other work on the machine affects all of them; the results are medians. ``error`` is
the root-mean-square difference from float32 in the clean estimate of a noisy example photo, in units of [0, 1]. Writes
benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import machine
from machine import option

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "haze_workshop.png"
NOISE = 0.1  # standard deviation, in units of [0, 1]


def report(options: argparse.Namespace) -> int:
    """Prints the table, and writes the JSON file."""
    rows = measured(options)
    print(
        f"{'precision':>9} {'channels_last':>13} {'compile':>7} {'seconds':>8} {'ratio':>6} {'error':>8} {'first':>6}"
    )
    for row in rows:
        flags = f"{row['precision']:>9} {row['channels_last']!s:>13} {row['compile']!s:>7}"
        print(f"{flags} {row['seconds']:8.3f} {row['ratio']:6.2f} {row['error']:8.5f} {row['first_seconds']:6.1f}")
    about = {"path": options.path, "side": options.side, "repeat": options.repeat, **machine.described()}
    print(f"all numbers: {machine.write(options.name, {**about, 'settings': rows})}")
    return 0


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each combination; ``ratio`` is its time relative to the first one, which has plain settings."""
    import torch

    from zeroair_pl.photos.reading import load_photo
    from zeroair_pl.priors import Prior, UNetPrior

    device = "cuda" if torch.cuda.is_available() else "cpu"
    combinations = list(itertools.product(options.precision, (False, True), (False, True)))
    combinations = [c for c in combinations if not (c[2] and options.no_compile)]
    priors = [UNetPrior(options.path, *c, tile=None, pixels_at_once=options.side**2) for c in combinations]
    clean = load_photo(PHOTO).pixels[None, :, : options.side, : options.side]
    sigma = torch.tensor([NOISE])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    x = (clean + NOISE * noise).to(device)

    def predict(prior: Prior) -> tuple[torch.Tensor, float]:
        began = time.perf_counter()
        x0 = prior.denoise(x, sigma).cpu()  # ``cpu`` waits for the device
        return x0, time.perf_counter() - began

    first = [predict(prior.to(device)) for prior in priors]
    seconds = [[predict(prior)[1] for prior in priors] for _ in range(options.repeat)]
    medians = [statistics.median(each) for each in zip(*seconds, strict=True)]
    exact = UNetPrior(options.path, "float32").to(device).denoise(x, sigma).cpu()
    return [
        {
            "precision": precision,
            "channels_last": channels_last,
            "compile": compiled,
            "seconds": round(median, 4),
            "ratio": round(median / medians[0], 3),
            "error": round(float((x0 - exact).square().mean().sqrt()), 6),
            "first_seconds": round(once, 2),
        }
        for (precision, channels_last, compiled), median, (x0, once) in zip(combinations, medians, first, strict=True)
    ]


main = machine.Command(
    report,
    __doc__,
    option("--path", default="small", help="of the prior, as --prior.path"),
    option("--side", type=int, default=256, help="of the image, in pixels"),
    option("--repeat", type=int, default=5),
    option("--precision", nargs="+", default=["float32", "bfloat16", "float16"]),
    option("--no_compile", action="store_true", help="leave torch.compile out, which takes minutes"),
    name="prior_settings",
)

if __name__ == "__main__":
    raise SystemExit(main())
