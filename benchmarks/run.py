"""Scores a config, or a folder of restored photos, on pairs of degraded and clean photos, and records the machine.

    python benchmarks/run.py --pairs SET --config dehaze            restores SET/degraded, and scores it
    python benchmarks/run.py --pairs SET --restored FOLDER          scores photos that are restored already

SET has the folders degraded/ and clean/, and optionally published/ (results of others, which are scored too); the
photos of a pair share their stem. It calls ``zeroair_pl.evaluate`` and writes benchmarks/results/NAME.json: the
settings, the machine, the versions, and for each photo PSNR (RGB, 8 bit), SSIM (luma, 11×11 window), seconds and the
prior's forward passes. The clean photos are only opened for the scores.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
import yaml
from machine import option

from zeroair_pl import evaluate
from zeroair_pl.errors import ZeroAIRError

if TYPE_CHECKING:
    from zeroair_pl.commands.evaluate import Evaluation

METHOD = ("seed", "degradation", "prior", "modeling", "guidance", "sampling")
SCORES = {"psnr": 3, "ssim": 4, "seconds": 2, "nfe": 1}  # with their digits


def report(options: argparse.Namespace) -> int:
    """Measures, writes the JSON file and prints the means."""
    measured, status = measure(options)
    path = machine.write(options.name or _title(options), measured)
    for name, value in measured["mean"].items():
        print(f"{name:>15}  {value:.4f}")
    print(f"worst gain {measured['worst_gain']:+.2f} dB; all numbers: {path}")
    return status


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """The content of the JSON file, and the exit status."""
    from zeroair_pl.scores.matching import Files

    if bool(options.config) == bool(options.restored):
        raise ZeroAIRError("expected either --config or --restored.")
    degraded, clean, published = (options.pairs / name for name in ("degraded", "clean", "published"))
    if not degraded.is_dir() or not clean.is_dir():
        raise ZeroAIRError(f"{options.pairs}: expected degraded/ and clean/ with photos of the same names.")
    photos = [source.path for source in Files(str(degraded)).sources][: options.limit]
    settings: dict[str, Any] = {"overwrite": True, "tensorboard": False} if options.config else {}
    if options.seed is not None:
        settings["seed"] = options.seed
    found = evaluate(
        [options.restored] * bool(options.restored) + [published] * published.is_dir(),
        options.config or (),
        images=photos,
        references=clean,
        out=options.out or Path("restored") / "benchmarks" / _title(options),
        **settings,
    )
    suffixes = {"degraded": "_input", options.restored.resolve().name if options.restored else "restored": ""}
    images = _by_image(found, {"published": "_published", **suffixes})
    if not images:
        raise ZeroAIRError("Nothing was restored.")
    about: dict[str, Any] = {"set": options.pairs.resolve().name, "pairs": len(photos), **machine.described()}
    for results in found.restored.values():
        used = yaml.safe_load((results.folder / "config.yaml").read_text(encoding="utf-8"))
        about["settings"] = {key: used[key] for key in METHOD if key in used}
    keys = list(dict.fromkeys(key for each in images.values() for key in each))
    about["mean"] = {key: round(statistics.fmean(e[key] for e in images.values() if key in e), 4) for key in keys}
    about["worst_gain"] = round(min(each["psnr"] - each["psnr_input"] for each in images.values()), 3)
    return {**about, "images": images}, found.exit_status


def _by_image(found: Evaluation, suffixes: dict[str, str]) -> dict[str, dict[str, float]]:
    """The scores of each photo with a result; names of scores of the other sets have a suffix."""
    images: dict[str, dict[str, float]] = {}
    for each in found.scored:
        for metric, digits in SCORES.items():
            if metric in each.scores and each.result in suffixes:
                key = f"{metric}{suffixes[each.result]}"
                images.setdefault(each.name, {})[key] = round(each.scores[metric], digits)
    for results in found.restored.values():
        for row in results.rows:
            if row.name in images and row.noise_level is not None:
                images[row.name]["noise_level"] = round(row.noise_level, 5)
    return {name: scores for name, scores in images.items() if "psnr" in scores}


def _title(options: argparse.Namespace) -> str:
    what = options.restored.resolve().name if options.restored else "+".join(Path(name).stem for name in options.config)
    return f"{options.pairs.resolve().name}_{what}"


main = machine.Command(
    report,
    __doc__,
    option("--pairs", type=Path, required=True, help="folder with degraded/ and clean/"),
    option("--config", nargs="+", help="names or paths of configs; later ones override earlier ones"),
    option("--restored", type=Path, help="folder of restored photos, in the place of --config"),
    option("--out", type=Path, help="where the restored photos go; restored/benchmarks/NAME if not given"),
    option("--seed", type=int),
    option("--limit", type=int, help="only so many pairs"),
    option("--name", help="of the JSON file; SET_CONFIG if not given"),
)

if __name__ == "__main__":
    raise SystemExit(main())
