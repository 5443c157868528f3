"""What ``auto`` takes photos for: kinds against kinds, and the same with each set left out of the fit.

    python benchmarks/recognition.py Haze=FOLDER Noise=FOLDER ... [--refit] [--name recognition]

Each argument is a kind that ``auto`` can find (``Haze``, ``LowLight``, ``Underwater``, or ``Noise`` for photos that
need no correction), = and a folder of photos that are of this kind. A row of the table is a folder: how many of its
photos ``auto`` took for each kind with a share of the correction above 0.05, the median share of those that were
recognized, and how many of the start images, which are made without the prior, have 32 dB or more to the photo itself.
Photos are looked at with 65,536 pixels, since what is found does not depend on the size.

With --refit, each model is fit again to the folders without one of them, all with equal weights. The rows are the
folders that were left out, with the photos whose log-odds are above 0. Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import fit_recognition
import machine
import numpy as np
import torch
from machine import option
from torch import Tensor

from zeroair_pl.degradations.auto import Auto
from zeroair_pl.degradations.choosing import FAMILIES
from zeroair_pl.degradations.maps import thumbnail
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.recognition_models import MODELS
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.reading import load_photo

KINDS = ("Noise", *(family.__name__ for family in FAMILIES))
FOUND, ALIKE = 0.05, 32.0  # least share that counts as recognized; dB from which a photo counts as left alone
Shown = list[tuple[str, Path]]  # kind and folder


def measure(options: argparse.Namespace) -> int:
    """Prints the tables and writes the JSON file."""
    shown = [_shown(each) for each in options.sets]
    rows = [row(kind, folder) for kind, folder in shown]
    print(f"{'set':<24} {'shows':<11} {'photos':>6} " + " ".join(f"{kind:>10}" for kind in KINDS) + "   share   alike")
    for each in rows:
        counts = " ".join(f"{each['taken_for'][kind]:10d}" for kind in KINDS)
        median = "" if each["share"] is None else f"{each['share']:.2f}"
        size = len(each["photos"])
        print(f"{each['set']:<24} {each['shows']:<11} {size:6d} {counts} {median:>7} {each['alike']:7d}")
    about: dict[str, Any] = {**machine.described(), "sets": rows}
    if options.refit:
        about["left_out"] = left_out(shown)
        print("\nlog-odds above 0 with the set left out of the fit, and of the photos that need nothing")
        for line in about["left_out"]:
            found = f"{line['found']} of {line['photos']}; {line['false']} of {line['plain']}"
            print(f"{line['set']:<24} {line['family']:<11} {found}")
    print(f"all numbers: {machine.write(options.name, about)}")
    return 0


def row(kind: str, folder: Path) -> dict[str, Any]:
    """One folder's row, with the numbers of each photo in the order of their names."""
    photos = [taken_for(_pixels(file)) for file in fit_recognition.photos_in(folder)]
    right = [each["share"] for each in photos if each["kind"] == kind and kind != "Noise"]
    return {
        "set": _name(folder), "shows": kind,
        "taken_for": {k: sum(each["kind"] == k for each in photos) for k in KINDS},
        "share": round(float(np.median(right)), 3) if right else None,
        "alike": sum(each["to_itself"] >= ALIKE for each in photos),
        "photos": photos,
    }  # fmt: skip


@torch.no_grad()
def taken_for(y: Tensor) -> dict[str, Any]:
    """What ``auto`` takes the photo (1, 3, H, W) for, how much of it, and the PSNR of the start image to the photo."""
    phi = Auto()
    phi.initialize(y, {}, lambda x, sigma: x)  # the prior would only look at the noise
    family = next((each.__name__ for each in FAMILIES if each.__name__ in phi.kind.split(" + ")), "Noise")
    share = float(phi.amount) if family != "Noise" else 0.0
    error = float((phi.invert(y).clamp(0, 1) - y).square().mean())
    found = family if share > FOUND else "Noise"
    return {"kind": found, "share": round(share, 3), "to_itself": round(min(99.0, -10 * math.log10(error + 1e-12)), 2)}


def left_out(shown: Shown) -> list[dict[str, Any]]:
    """For each folder with a degradation: its photos with log-odds above 0 in fits of the family without the folder.

    The log-odds of a family are the largest of its models, without those for gray photos.
    """
    seen = {
        folder: [statistics(looked_at(_pixels(file))) for file in fit_recognition.photos_in(folder)]
        for _, folder in shown
    }
    lines = []
    for family, models in MODELS.items():
        for out in (folder for kind, folder in shown if kind == family):
            rest = [(kind == family, folder) for kind, folder in shown if folder != out]
            if len({label for label, _ in rest}) < 2:
                continue  # no other folder shows it
            odds = {folder: np.full(len(values), -np.inf) for folder, values in seen.items()}
            for model in (model for model in models if not model.gray):
                values = {folder: np.array([model.scaled(each) for each in own]) for folder, own in seen.items()}
                x = np.concatenate([values[folder] for _, folder in rest])
                y = np.concatenate([np.full(len(seen[folder]), float(label)) for label, folder in rest])
                factors, bias = fit_recognition.logistic(x, y, np.ones(len(y)))
                odds = {folder: np.maximum(odds[folder], values[folder] @ factors + bias) for folder in odds}
            plain = np.concatenate([odds[folder] for kind, folder in shown if kind == "Noise"])
            lines.append(
                {
                    "set": _name(out), "family": family, "photos": len(odds[out]),
                    "found": int((odds[out] > 0).sum()), "false": int((plain > 0).sum()), "plain": len(plain),
                }
            )  # fmt: skip
    return lines


def _pixels(file: Path) -> Tensor:
    return thumbnail(load_photo(file).pixels[None])


def _name(folder: Path) -> str:
    return {"degraded": folder.parent.name, "clean": f"{folder.parent.name} (clean)"}.get(folder.name, folder.name)


def _shown(text: str) -> tuple[str, Path]:
    kind, equals, folder = text.partition("=")
    if not equals or kind not in KINDS:
        raise ConfigError(f"{text}: expected KIND=FOLDER with one of the kinds {', '.join(KINDS)}.")
    if not Path(folder).is_dir():
        raise ConfigError(f"{text}: {folder} is not a folder.")
    return kind, Path(folder)


main = machine.Command(
    measure,
    __doc__,
    option("sets", nargs="+", metavar="KIND=FOLDER"),
    option("--refit", action="store_true", help="fit the models anew without each folder"),
    name="recognition",
)

if __name__ == "__main__":
    raise SystemExit(main())
