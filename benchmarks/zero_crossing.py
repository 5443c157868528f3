"""Whether the prior shows how strong haze or darkness is: where a statistic that is 0 at the truth crosses 0.

    python benchmarks/zero_crossing.py [--photos FOLDER] [--limit N]

z = φ⁻¹(y) is the clean photo with noise ε, if φ is right. x = z + m has noise s, x0 = E[x0 | x], and e² is the error
of x0, measured from m by Stein's identity. Then the mean of x0·(z − x0) is e²ε²/s², since x0 and its error are not
correlated. The script puts known haze (t = 0.6, A = 0.9) or darkness (a gain of 0.5) on clean photos, tries strengths
beside the true one, and prints the mean of x0·(z − x0) − e²ε²/s², times 10⁴, at several levels s. A column that falls
through 0 at the true strength is a level at which this statistic can learn it. Writes
benchmarks/results/zero_crossing.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import machine
import numpy as np
import sets
import torch
from machine import option
from numpy.typing import NDArray
from torch import Tensor

from zeroair_pl.api import Method
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.priors import Prior

SIGMA, AIR, TRUE = 3 / 255, 0.9, {"haze": 0.6, "darkness": 0.5}
RATIOS = (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25)  # of the tried strength to the true one
LEVELS = (0.04, 0.08, 0.16, 0.3)
SIDE = 128


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each kind and ratio, and writes the JSON file."""
    prior = Method.from_config("denoise").prior
    files = find_images(options.photos)[: options.limit]
    photos = [middle(load_photo(each.path).pixels[None]) for each in files]
    rows: list[dict[str, Any]] = []
    print(f"{'':12}{'ratio':>6}" + "".join(f"{s:>8}" for s in LEVELS))
    crossings = {}
    for kind in TRUE:
        each = np.array([[[of_photo(x, kind, r, s, prior) for s in LEVELS] for x in photos] for r in RATIOS])
        for ratio, values in zip(RATIOS, each.mean(1), strict=True):
            rows.append({"kind": kind, "ratio": ratio, "values": (1e4 * values).round(2).tolist()})
            print(f"{kind:12}{ratio:6.2f}" + "".join(f"{1e4 * value:8.2f}" for value in values), flush=True)
        found = np.array([[crossing(each[:, i, k]) for k in range(len(LEVELS))] for i in range(len(photos))])
        crossings[kind] = found.round(3).tolist()
        for name, number in (("mean", np.nanmean(found, 0)), ("spread", np.nanstd(found, 0))):
            print(f"{'ratio of 0:':12}{name:>6}" + "".join(f"{value:8.3f}" for value in number), flush=True)
    content = {"levels": LEVELS, "photos": len(photos), "rows": rows, "crossings": crossings, **machine.described()}
    print(f"all numbers: {machine.write('zero_crossing', content)}")
    return 0


def of_photo(x: Tensor, kind: str, ratio: float, s: float, prior: Prior) -> float:
    """The statistic for one photo, one tried strength and one level."""
    g = torch.Generator().manual_seed(0)
    true, air = TRUE[kind], AIR if kind == "haze" else 0.0
    y = true * x + air * (1 - true) + SIGMA * torch.randn(x.shape, generator=g)
    tried = ratio * true
    z, epsilon = (y - air * (1 - tried)) / tried, SIGMA / tried
    if epsilon > s:
        return float("nan")
    m = (s * s - epsilon * epsilon) ** 0.5 * torch.randn(x.shape, generator=g)
    x0 = prior.denoise(z + m, torch.tensor([s]))
    e2 = s * s * float((m * x0).mean() / m.square().mean()) if s > 1.1 * epsilon else 0.0
    return float((x0 * (z - x0)).mean()) - e2 * epsilon**2 / s**2


def crossing(values: NDArray[np.float64]) -> float:
    """The ratio at which the values at ``RATIOS`` first fall through 0; nan if they do not."""
    for k in range(len(RATIOS) - 1):
        if values[k] > 0 >= values[k + 1]:
            share = values[k] / (values[k] - values[k + 1])
            return float(RATIOS[k] + share * (RATIOS[k + 1] - RATIOS[k]))
    return float("nan")


def middle(x: Tensor) -> Tensor:
    top, left = ((length - SIDE) // 2 for length in x.shape[-2:])
    return x[..., max(0, top) : max(0, top) + SIDE, max(0, left) : max(0, left) + SIDE]


main = machine.Command(
    measure,
    __doc__,
    option("--photos", type=Path, default=sets.EXAMPLES / "clean", help="folder of clean photos"),
    option("--limit", type=int, help="only so many photos"),
)

if __name__ == "__main__":
    raise SystemExit(main())
