"""Scores a config, or a folder of restored photos, on pairs of degraded and clean photos, in the paper's protocol.

    python benchmarks/run.py --pairs SET --config dehaze            restores SET/degraded, and scores it
    python benchmarks/run.py --pairs SET --restored FOLDER          scores what is there already

SET has the folders degraded/ and clean/, and may have published/ (other people's results, scored beside ours); the
photos of a pair share their stem. Writes benchmarks/results/NAME.json: the settings, the machine, the versions, and for
each photo PSNR (RGB, 8 bit) and SSIM (luma, 11×11 window), seconds and the prior's forward passes. The clean photos are
opened for the scores alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
import yaml

from zeroair_pl import restore, runtime
from zeroair_pl.errors import ZeroAIRError
from zeroair_pl.images import SUPPORTED

if TYPE_CHECKING:
    from torch import Tensor

Scores = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    runtime.prepare()  # before torch is loaded
    options = _parser().parse_args(argv)
    try:
        measured = measure(options)
    except ZeroAIRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    path = machine.write(options.name or _title(options), measured)
    for name, value in measured["mean"].items():
        print(f"{name:>15}  {value:.4f}")
    print(f"worst gain {measured['worst_gain']:+.2f} dB; all numbers: {path}")
    return 0 if len(measured["images"]) == measured["pairs"] else 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What goes into the JSON file."""
    from zeroair_pl.photo import load_photo

    degraded, clean = _by_stem(options.pairs / "degraded"), _by_stem(options.pairs / "clean")
    names = sorted(degraded.keys() & clean.keys())[: options.limit]
    if not names:
        raise ZeroAIRError(f"{options.pairs}: expected degraded/ and clean/ with photos of the same names.")
    about: dict[str, Any] = {"set": options.pairs.resolve().name, "pairs": len(names), **machine.described()}
    facts: dict[str, Scores] = {}
    if options.restored:
        files = _by_stem(options.restored)
    else:
        files, facts, about["settings"] = _restored(options, {name: degraded[name] for name in names})
    published = _by_stem(options.pairs / "published")
    images: dict[str, Scores] = {}
    for name in names:
        if name in files:
            truth = load_photo(clean[name]).pixels
            images[name] = {**_scores(load_photo(degraded[name]).pixels, truth, "_input"), **facts.get(name, {})}
            images[name].update(_scores(load_photo(files[name]).pixels, truth))
            if name in published:
                images[name].update(_scores(load_photo(published[name]).pixels, truth, "_published"))
        else:
            print(f"error: {name}: there is no restored photo", file=sys.stderr)
    if not images:
        raise ZeroAIRError("Nothing was restored.")
    keys = [key for key, value in next(iter(images.values())).items() if isinstance(value, (int, float))]
    about["mean"] = {key: round(_mean([each[key] for each in images.values() if key in each]), 4) for key in keys}
    about["worst_gain"] = round(min(each["psnr"] - each["psnr_input"] for each in images.values()), 3)
    return {**about, "images": images}


def _restored(
    options: argparse.Namespace, degraded: Mapping[str, Path]
) -> tuple[dict[str, Path], dict[str, Scores], dict[str, Any]]:
    """Files, facts and settings of a run over the degraded photos."""
    out = options.out or Path("restored") / "benchmarks" / _title(options)
    settings: dict[str, Any] = {"overwrite": True, "tensorboard": False}
    if options.seed is not None:
        settings["seed"] = options.seed
    results = restore(list(degraded.values()), options.config, out=out, **settings)
    stems = {str(path): stem for stem, path in degraded.items()}
    rows = {stems[row.input]: row for row in results.rows if row.status == "restored"}
    facts = {
        stem: {
            "seconds": round(row.seconds or 0, 2),
            "forwards": row.forwards,
            "noise_level": round(row.noise_level or 0, 5),
        }
        for stem, row in rows.items()
    }
    used = yaml.safe_load((out / "config.yaml").read_text())
    method = ("seed", "degradation", "prior", "modelling", "guidance", "sampling")
    return {stem: out / row.output for stem, row in rows.items()}, facts, {k: used[k] for k in method if k in used}


def _title(options: argparse.Namespace) -> str:
    what = options.restored.resolve().name if options.restored else "+".join(Path(name).stem for name in options.config)
    return f"{options.pairs.resolve().name}_{what}"


def _scores(image: Tensor, truth: Tensor, of: str = "") -> Scores:
    from zeroair_pl.metrics import psnr, ssim_paper

    pair = image[None], truth[None]
    return {f"psnr{of}": round(float(psnr(*pair)), 3), f"ssim{of}": round(float(ssim_paper(*pair)), 4)}


def _by_stem(folder: Path) -> dict[str, Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.stem: path for path in files if path.suffix.lower() in SUPPORTED}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="folder with degraded/ and clean/")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", nargs="+", help="names or paths of configs; later ones override earlier ones")
    what.add_argument("--restored", type=Path, help="folder of restored photos")
    parser.add_argument("--out", type=Path, help="where the restored photos go; restored/benchmarks/NAME if not given")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--limit", type=int, help="only so many pairs")
    parser.add_argument("--name", help="of the JSON file; SET_CONFIG if not given")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
