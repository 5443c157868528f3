"""Fits models like those of zeroair_pl/degradations/recognition.py to folders of photos, by ridge logistic regression.

    python benchmarks/fit_recognition.py DARK --with dim:5 night:2 --without ordinary:2 photos:0.3

Fits one of the models FOG, VEIL, DARK and WATER over its statistics to photos that show the degradation (``--with``)
and photos that do not (``--without``). A number after a folder is the weight of each of its photos. Prints the model's
terms, and for each folder how many of its photos have z above 0 in a fit without this folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import machine
import numpy as np
from machine import option
from numpy.typing import NDArray

from zeroair_pl.degradations import recognition
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.photos.reading import load_photo

Array = NDArray[np.float64]
RIDGE = 3.0
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def report(options: argparse.Namespace) -> int:
    """Fits the model and prints it."""
    names = list(getattr(recognition, options.model).terms)
    values, label, weight, folder = [], [], [], []
    for shown, folders in ((1.0, options.shown), (0.0, options.plain)):
        for each in folders:
            path, _, number = each.partition(":")
            for file in photos_in(Path(path)):
                found = statistics(looked_at(load_photo(file).pixels[None]))
                values.append([found[name] for name in names])
                label.append(shown)
                weight.append(float(number or 1))
                folder.append(path)
    x, y, w, of = np.array(values), np.array(label), np.array(weight), np.array(folder)
    usual, spread = x[y == 0].mean(0), x[y == 0].std(0) + 1e-6
    x = recognition.FAR * np.tanh((x - usual) / spread / recognition.FAR)
    factors, bias = logistic(x, y, w)
    print(f"bias={bias:.2f}")
    for i in np.argsort(-np.abs(factors)):
        print(f'"{names[i]}": ({usual[i]:.3g}, {spread[i]:.3g}, {factors[i]:.2f}),')
    for path in dict.fromkeys(folder):
        rest = of != path
        factors, bias = logistic(x[rest], y[rest], w[rest])
        z = x[~rest] @ factors + bias
        print(f"{path}, left out: {np.mean(z > 0):.0%} of {len(z)} above 0, median {np.median(z):.1f}")
    return 0


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def logistic(x: Array, y: Array, w: Array, rounds: int = 25) -> tuple[Array, float]:
    """Factors (K,) and bias of log-odds from values (N, K), labels and weights (N,), by Newton's method."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.c_[(x - mean) / scale, np.ones(len(x))]
    ridge = np.diag([RIDGE] * x.shape[1] + [1e-6])
    b = np.zeros(z.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(z @ b, -30, 30)))
        slope = z.T @ (w * (p - y)) + ridge @ b
        b = b - np.linalg.solve((z * (w * p * (1 - p) + 1e-9)[:, None]).T @ z + ridge, slope)
    factors = b[:-1] / scale
    return factors, float(b[-1] - factors @ mean)


main = machine.Command(
    report,
    __doc__,
    option("model", choices=["FOG", "VEIL", "DARK", "WATER"]),
    option("--with", dest="shown", nargs="+", required=True, metavar="FOLDER[:WEIGHT]"),
    option("--without", dest="plain", nargs="+", required=True, metavar="FOLDER[:WEIGHT]"),
)

if __name__ == "__main__":
    raise SystemExit(main())
