"""Fits the models of zeroair_pl/degradations/recognition_models.py to photos, by ridge logistic regression.

    python benchmarks/fit_recognition.py ROOT [--models FOG VEIL ...] [--plan benchmarks/fit_recognition.yaml]

The plan names folders under ROOT, what their photos show, and the weight of each photo in each model; photos that
show the kind or may show it, by eye, among those of a folder that shows nothing (``labels``); and how many photos of a
folder are degraded with a seed (``composed``). A model with ``gray`` is fit to gray copies of all photos. Prints the
terms of each model, and for each set the log-odds z of its photos in fits without them: a fifth of all photos is left
out at a time (``folds``), or all of the set (``set out``).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import composed_kinds
import machine
import numpy as np
import torch
import yaml
from machine import option
from numpy.typing import NDArray

from zeroair_pl.degradations import recognition_models
from zeroair_pl.degradations.maps import thumbnail
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.photos.reading import load_photo

Array = NDArray[np.float64]
RIDGE, FOLDS = 3.0, 5
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Seen:
    """A photo's set, what it shows, its name, and its statistics; ``shows`` is "" for nothing."""

    set: str
    shows: str
    name: str
    values: dict[str, float]


def report(options: argparse.Namespace) -> int:
    """Fits the models and prints them."""
    plan = yaml.safe_load(options.plan.read_text())
    photos: dict[bool, list[Seen]] = {}
    for model in options.models:
        about = plan["models"][model]
        gray = about.get("gray", False)
        if gray not in photos:
            photos[gray] = [p for name, each in plan["sets"].items() for p in look(options.root, name, each, gray)]
            photos[gray] += [
                p for kind, each in plan["composed"].items() for p in composed(options.root, kind, each, gray)
            ]
        fit(model, about, photos[gray])
    return 0


def look(root: Path, name: str, about: dict[str, Any], gray: bool = False) -> list[Seen]:
    """The photos of a set."""
    files = [file for file in sorted(root.glob(about["files"])) if file.suffix.lower() in SUFFIXES]
    return [Seen(name, about.get("shows", ""), file.stem, _seen(_small(file), gray)) for file in files]


def composed(root: Path, kind: str, about: dict[str, Any], gray: bool = False) -> list[Seen]:
    """Photos of a folder with a degradation, each from a seed of its own."""
    files = sorted(root.glob(about["files"]))
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0)).tolist()[: about["count"]]
    found = []
    for i in order:
        y = composed_kinds.KINDS[kind](_small(files[i]), torch.Generator().manual_seed(i))
        found.append(Seen(f"composed {kind}", about.get("shows", kind), files[i].stem, _seen(y, gray)))
    return found


def fit(model: str, plan: dict[str, Any], photos: list[Seen]) -> None:
    """Prints one model and how well its fits do on photos that were left out."""
    kind, weights = plan["finds"], plan.get("weights", {})
    shows, unsure = (set(plan.get("labels", {}).get(what, "").split()) for what in ("shows", "unsure"))
    used, label = [], []
    for photo in photos:
        other = photo.set.startswith("composed") and photo.shows not in ("", kind)
        labeled = photo.name in shows and not photo.shows
        if labeled and photo.set.startswith("composed"):
            continue
        if other or weights.get(photo.set, 1) == 0 or (photo.name in unsure and not photo.shows):
            continue
        used.append(Seen("labeled", kind, photo.name, photo.values) if labeled else photo)
        label.append(float(used[-1].shows == kind))
    names = list(getattr(recognition_models, model).terms)
    x, y = np.array([[photo.values[name] for name in names] for photo in used]), np.array(label)
    w = np.array([float(weights.get(photo.set, 1)) for photo in used])
    of, fold = np.array([photo.set for photo in used]), np.array([sum(map(ord, p.name)) % FOLDS for p in used])
    usual, spread = x[y == 0].mean(0), x[y == 0].std(0) + 1e-6
    x = recognition_models.FAR * np.tanh((x - usual) / spread / recognition_models.FAR)
    factors, bias = logistic(x, y, w)
    print(f"{model}: bias={bias:.2f}")
    for i in np.argsort(-np.abs(factors)):
        print(f'    "{names[i]}": ({usual[i]:.3g}, {spread[i]:.3g}, {factors[i]:.2f}),')
    own, folds = x @ factors + bias, np.zeros(len(y))
    for k in range(FOLDS):
        factors, bias = logistic(x[fold != k], y[fold != k], w[fold != k])
        folds[fold == k] = x[fold == k] @ factors + bias
    print(f"{'set':<22} shows photos   z > 0 of all, in folds, set out   z at 2, 10, 50, 90 and 98 % in folds")
    for name in dict.fromkeys(of):
        inside = of == name
        factors, bias = logistic(x[~inside], y[~inside], w[~inside])
        out = x[inside] @ factors + bias
        quantiles = " ".join(f"{np.quantile(folds[inside], q):6.2f}" for q in (0.02, 0.1, 0.5, 0.9, 0.98))
        counts = " ".join(f"{int((z > 0).sum()):8d}" for z in (own[inside], folds[inside], out))
        print(f"{name:<22} {int(y[inside][0]):5d} {int(inside.sum()):6d} {counts}          {quantiles}")


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


def _seen(y: torch.Tensor, gray: bool) -> dict[str, float]:
    """The statistics of a photo (1, 3, H, W), or of its gray copy in 8 bits."""
    if gray:
        y = (y * y.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(y)
        y = (255 * y).round() / 255
    return statistics(looked_at(y))


def _small(file: Path) -> torch.Tensor:
    return thumbnail(load_photo(file).pixels[None])


main = machine.Command(
    report,
    __doc__,
    option("root", type=Path, help="the folder that the plan's files are in"),
    option(
        "--models",
        nargs="+",
        default=["FOG", "VEIL", "DARK", "WATER", "GRAY_FOG", "GRAY_VEIL", "GRAY_DARK"],
        metavar="MODEL",
    ),
    option("--plan", type=Path, default=Path(__file__).with_suffix(".yaml")),
)

if __name__ == "__main__":
    raise SystemExit(main())
