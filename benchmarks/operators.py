"""The table of operators: blur, JPEG, low resolution, holes, specks and rain, with known and unknown parameters.

    python benchmarks/operators.py --sets FOLDER [--only KIND ...] [--limit N] [--ways WAY ...] [--seeds SEED ...]
    python benchmarks/operators.py --merge FILE ...

FOLDER has KIND/degraded and KIND/clean, and KIND/side for known kernels (.npy) or masks (white is missing). The
beginning of KIND states the operator (``KINDS``). In the rows ``known``, the method gets the side file or the photo's
own file; in the rows ``blind``, only the pixels; in the rows ``auto``, the config ``auto`` gets the file alone.
Annealing draws no random numbers, so a seed changes nothing there; it does for the ways ``auto`` and for kinds with
noise or haze in their names. With several seeds, PSNR is the mean over them, and ``seeds`` has the mean of each. PSNR
is of RGB in 8 bits, for each photo and in the mean; ``aligned`` is that of the best shift by up to 3 px, where the
photo does not tell a shift from the kernel. Seconds and passes are those of the fits. Replaces the rows of these kinds
and ways in benchmarks/results/operators.json, or in restored/operators.json for a part of the photos; ``--name`` gives
another file, and ``--merge`` takes the rows of such files over, which processes have measured side by side.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machine
import numpy as np
import torch
from machine import option
from PIL import Image
from torch import Tensor

from zeroair_pl.api import Method
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.restored import Restored
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.sizes import as_large_as


class Kind(NamedTuple):
    """How photos of one kind are restored."""

    config: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - never changed
    side: str = ""  # the name of its side information
    of_file: bool = False  # the photo's own file has the parameters


WAYS = ("known", "blind", "auto")
BLUR_JPEG = [{"class_path": "Blur", "init_args": {"kernel": "gaussian"}}, {"class_path": "Jpeg"}]
KINDS = {
    "blur-motion": Kind("deblur_free", side="kernel"),
    "blur": Kind("deblur", side="kernel"),
    "jpeg": Kind("dejpeg", of_file=True),
    "down-4": Kind("upscale", {"degradation": {"init_args": {"factor": 4}}}),
    "down": Kind("upscale"),
    "holes": Kind("inpaint", side="missing"),
    "impulse": Kind("despeckle"),
    "noise": Kind("denoise"),
    "rain": Kind("derain"),
    "mixed-blur-noise-jpeg": Kind("deblur", {"degradation": BLUR_JPEG}, of_file=True),
    "mixed-dark-noise": Kind("low_light"),
    "mixed-haze-noise-jpeg": Kind("dehaze", {"degradation": ["Haze", "Jpeg"]}, of_file=True),
}


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each row, and writes the JSON file."""
    folder = Path("restored") if options.limit else machine.RESULTS
    path = folder / f"{options.name}.json"
    if options.merge:
        files = [json.loads(file.read_text()) for file in options.merge]
        content = {**files[-1], "rows": merged(path, [row for file in files for row in file["rows"]])}
    elif options.sets is None:
        raise ConfigError("--sets FOLDER: expected the folder of the kinds.")
    else:
        rows = list(measured(options))
        described = machine.described()
        content = {**described, "rows": merged(path, [{**row, "commit": described["commit"]} for row in rows])}
    print(f"all numbers: {machine.write(options.name, content, folder)}")
    return 0


def merged(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``rows`` and the rows of the file ``path`` for other kinds and ways, sorted."""
    earlier = json.loads(path.read_text())["rows"] if path.is_file() else []
    found = {(row["kind"], WAYS.index(row["way"])): row for row in [*earlier, *rows]}
    return [found[key] for key in sorted(found)]


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each kind and way, printed as soon as it is measured."""
    sets, only = options.sets, options.only
    found = [each for each in sorted(sets.iterdir()) if (each / "clean").is_dir()] if sets.is_dir() else []
    chosen = [each for each in found if not only or each.name in only]
    if not chosen:
        raise ConfigError(f"--sets {sets}: no kind with a folder 'clean' there, or none of {', '.join(only)}.")
    for folder in chosen:
        kind = next((KINDS[name] for name in KINDS if folder.name.startswith(name)), None)
        if kind is None:
            print(f"{folder.name:24} no family for it yet")
            continue
        ways = {"known", "blind", "auto"} if kind.side or kind.of_file else {"blind", "auto"}
        ways -= {"auto"} if kind.config == "upscale" else set()  # ``auto`` does not enlarge
        for way in [way for way in options.ways if way in ways - ({"blind"} if kind.side == "missing" else set())]:
            row = of_kind(folder, kind, way, options.limit, options.seeds)
            row = {"kind": folder.name, "way": way, "config": "auto" if way == "auto" else kind.config, **row}
            print(
                f"{folder.name:24}{way:7} {row['input']:6.2f} -> {row['psnr']:6.2f}   worst gain {row['worst']:6.2f}   "
                f"{row['seconds']:5.1f} s   {row['nfe']:4.0f} passes",
                flush=True,
            )
            yield row


def of_kind(folder: Path, kind: Kind, way: str, limit: int | None, seeds: Sequence[int] = (0,)) -> dict[str, Any]:
    """The row of a kind: means over its photos, and the PSNR of each photo."""
    config, settings = ("auto", {}) if way == "auto" else (kind.config, kind.settings)
    methods = [Method.from_config(config, **settings, seed=seed) for seed in seeds]
    scores: dict[str, list[float]] = {}
    each_seed, seconds, passes, aligned = [], [], [], list[float]()
    for source in find_images(folder / "degraded")[:limit]:
        stem = source.path.stem
        clean = load_photo(next((folder / "clean").glob(f"{stem}.*"))).pixels
        photo = load_photo(source.path).pixels
        side = {kind.side: side_of(folder, stem)} if kind.side and way == "known" else {}
        given = source.path if way != "blind" and kind.of_file else photo
        found: list[Restored] = [method.restore(given, stem, side=side) for method in methods]
        each_seed.append([psnr(restored.pixels, clean) for restored in found])
        scores[stem] = [
            psnr(as_large_as(photo, (clean.shape[1], clean.shape[2])), clean),
            float(np.mean(each_seed[-1])),
        ]
        if "free" in kind.config:
            aligned.append(best_aligned(found[0].pixels, clean))
        seconds += [restored.seconds for restored in found]
        passes += [restored.nfe for restored in found]
    before, after = (np.array([pair[k] for pair in scores.values()]) for k in (0, 1))
    return {
        "photos": len(scores),
        "input": round(float(before.mean()), 3),
        "psnr": round(float(after.mean()), 3),
        "worst": round(float((after - before).min()), 3),
        **({"seeds": np.mean(each_seed, axis=0).round(3).tolist()} if len(seeds) > 1 else {}),
        **({"aligned": round(float(np.mean(aligned)), 3)} if aligned else {}),
        "seconds": round(float(np.median(seconds)), 2),
        "nfe": round(float(np.mean(passes)), 1),
        "each": {stem: [round(value, 3) for value in pair] for stem, pair in scores.items()},
    }


def side_of(folder: Path, stem: str) -> Any:
    """The side file of a photo: a kernel (h, w), or a mask (H, W) of 0 and 1."""
    file = next((folder / "side").glob(f"{stem}.*"))
    return np.load(file) if file.suffix == ".npy" else np.asarray(Image.open(file).convert("L")) / 255


def psnr(image: Tensor, clean: Tensor) -> float:
    """PSNR in dB of two images (3, H, W) in [0, 1], rounded to 8 bits."""
    difference = (255 * image.clamp(0, 1)).round() - (255 * clean).round()
    return float(10 * torch.log10(255**2 / difference.square().mean().clamp(min=1e-9)))


def best_aligned(image: Tensor, clean: Tensor) -> float:
    """The highest PSNR of ``image`` shifted by up to 3 pixels, without a border of 3 pixels."""
    height, width = (length - 6 for length in clean.shape[-2:])
    inner = clean[:, 3 : 3 + height, 3 : 3 + width]
    places = itertools.product(range(7), range(7))
    return max(psnr(image[:, down : down + height, across : across + width], inner) for down, across in places)


main = machine.Command(
    measure,
    __doc__,
    option("--sets", type=Path, help="folder of the kinds"),
    option("--only", nargs="+", default=[], help="of the kinds"),
    option("--limit", type=int, default=None, help="photos of each kind"),
    option("--ways", nargs="+", default=WAYS, choices=WAYS, help="of restoring them"),
    option("--seeds", nargs="+", type=int, default=[0], help="of the random numbers"),
    option("--merge", nargs="+", type=Path, default=[], help="JSON files whose rows are taken over"),
    name="operators",
)

if __name__ == "__main__":
    raise SystemExit(main())
