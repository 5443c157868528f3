"""The quality table: scores of the input, simple floors, published results, and configs, for every set.

    python benchmarks/quality.py --sets FOLDER [--config task auto] [--seeds 0 1 2] [--only SET ...] [--limit N]

FOLDER has SET/degraded, SET/clean and optionally SET/published; see sets.py. Without --sets, only the example photos
are measured. A config is a name or a path; several joined by + are layers. The first may be ``task``: the preset for
the set's kind of degradation. The written files are scored by PSNR (RGB, 8 bits) and SSIM (luma) in the paper's
protocol, and a photo's score is its mean over the seeds. ``spread`` is the mean over the photos of the standard
deviation of their PSNR over the seeds. ``worst`` is the smallest gain over the input among the photos. For sets named
clean-…, the clean photos are the input, and ``worst`` is the lowest PSNR. The end of a line shows the kinds of
degradation that were found. The clean photos are only opened for the scores.

The restored photos stay in OUT/SET/CONFIG/seed-N. After an interruption, the same command continues; it restores photos
of another version of the code again. A whole run writes benchmarks/results/quality.json, a part of it (--only, --limit)
OUT/quality.json.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
import sets
import yaml
from machine import option
from sets import PhotoSet

import zeroair_pl
from zeroair_pl.config.files import find_config
from zeroair_pl.errors import ConfigError, ZeroAIRError

if TYPE_CHECKING:
    from zeroair_pl.jobs.records import Row
    from zeroair_pl.scores.scoring import Scored

OUT = Path("restored") / "quality"
TASK = "task"
METHOD = ("degradation", "prior", "modeling", "guidance", "sampling")
COLUMNS = {"psnr": 2, "ssim": 3, "gain": 2, "spread": 2, "worst": 2, "seconds": 1, "nfe": 0}  # with their digits


def measure(options: argparse.Namespace) -> int:
    """Prints the table and writes the JSON file; returns 1 if a photo could not be restored or scored, else 0."""
    found = sets.find(options.sets, options.only, options.limit)
    specs = usable(options.config)
    complete = len(specs) == len(options.config)
    about: dict[str, Any] = {"seeds": options.seeds, **machine.described(), "sets": {}}
    print(f"{'set':<22} {'photos':>6}  {'':<31} " + " ".join(f"{title:>8}" for title in COLUMNS))
    path = options.out / "quality.json"
    for photos in found:
        rows: dict[str, Any] = {}
        about["sets"][photos.name] = {"kind": photos.kind, "photos": len(photos.degraded), "rows": rows}
        try:
            for name, scored in plain(photos).items():
                rows[name] = row_of(scored)
                show(photos, name, rows[name])
            for spec in specs:
                preset = layers(photos, spec)
                if preset is None:
                    print(f"skipped: {spec}: there is no preset for {photos.name}", file=sys.stderr)
                    continue
                complete &= measure_preset(photos, machine.title_of(spec), preset, options, rows)
                machine.write("quality", about, options.out)
        except ConfigError:
            raise
        except ZeroAIRError as error:
            complete = False
            print(f"error: {photos.name}: {error}", file=sys.stderr)
    if not (options.only or options.limit):
        path = machine.write("quality", about)
    print(f"all numbers: {path}")
    return 0 if complete else 1


def usable(specs: Sequence[str]) -> list[str]:
    """The configs whose files exist; prints a line for each of the others."""
    good = []
    for spec in specs:
        try:
            for layer in spec.split("+"):
                if layer != TASK:
                    find_config(layer)
            good.append(spec)
        except ConfigError as error:
            print(f"skipped: {error}", file=sys.stderr)
    return good


def plain(photos: PhotoSet) -> dict[str, list[Scored]]:
    """Scores of the input, the floors, and the published results."""
    if not photos.clean or photos.harmless:
        return {}
    import floors
    import numpy as np
    import torch

    from zeroair_pl.photos.reading import load_photo
    from zeroair_pl.scores.scoring import Scored, score

    made: dict[str, list[Scored]] = {}
    for name, path in photos.degraded.items():
        y, truth = load_photo(path).pixels, load_photo(photos.clean[name]).pixels
        made.setdefault("input", []).append(Scored("input", name, score(y, truth)))
        array = np.ascontiguousarray(y.permute(1, 2, 0).numpy())
        images = {}
        for floor, function in floors.FLOORS.get(photos.kind, floors.FLOORS["other"]).items():
            found = function(array).clip(0, 1).transpose(2, 0, 1)
            images[f"floor: {floor}"] = torch.from_numpy(np.ascontiguousarray(found))
        if name in photos.published:
            images["published"] = load_photo(photos.published[name]).pixels
        for what, image in images.items():
            made.setdefault(what, []).append(Scored(what, name, score(image, truth, y)))
    return made


def measure_preset(
    photos: PhotoSet, title: str, preset: sets.Preset, options: argparse.Namespace, rows: dict[str, Any]
) -> bool:
    """Adds a row called ``title`` to ``rows``, and restores missing photos for it; returns whether nothing failed."""
    # A set that cannot be scored is only for visual inspection, for which one seed is enough.
    seeds = options.seeds if photos.clean else options.seeds[:1]
    scored: list[Scored] = []
    kinds: dict[str, str] = {}
    for seed in seeds:
        for name, row in restore(photos, preset, seed, folder_of(options.out, photos.name, title, seed)).items():
            scored.append(scores_of(photos, title, name, row, seed, options.out))
            kinds.setdefault(name, row.kind)
    if scored:
        used = yaml.safe_load((folder_of(options.out, photos.name, title, seeds[0]) / "config.yaml").read_text())
        rows[title] = {**row_of(scored), "kinds": kinds}
        rows[title]["settings"] = {key: used[key] for key in METHOD if key in used}
        show(photos, title, rows[title])
    return len(scored) == len(photos.degraded) * len(seeds)


def scores_of(photos: PhotoSet, title: str, name: str, row: Row, seed: int, out: Path) -> Scored:
    """The scores of one restored photo."""
    from zeroair_pl.photos.reading import load_photo
    from zeroair_pl.scores.scoring import Scored, score

    image = load_photo(folder_of(out, photos.name, title, seed) / row.output).pixels
    truth = load_photo(photos.clean[name]).pixels if name in photos.clean else None
    before = None if photos.harmless else load_photo(photos.degraded[name]).pixels
    facts = {"seconds": row.seconds or 0.0, "nfe": float(row.nfe or 0)}
    return Scored(title, name, {**score(image, truth, before), **facts}, seed)


def layers(photos: PhotoSet, spec: str) -> sets.Preset | None:
    """The layers of a config for a set. ``task`` is the preset of its kind; ``None`` if there is none."""
    first, *rest = spec.split("+")
    if first != TASK:
        return sets.Preset((first, *rest))
    preset = sets.PRESETS.get(photos.kind)
    return None if preset is None else sets.Preset((*preset.configs, *rest), preset.settings)


def restore(photos: PhotoSet, preset: sets.Preset, seed: int, folder: Path) -> dict[str, Row]:
    """The rows of all photos after their restoration; photos that this code has restored already are not repeated."""
    stamp = folder / "code"
    if folder.exists() and (not stamp.is_file() or stamp.read_text() != code()):
        if not stamp.is_file():
            raise ConfigError(f"--out: {folder} was not made by this script; name another folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(code())
    said = io.StringIO()  # catches the summary of each run, which would break the table
    with contextlib.redirect_stdout(said):
        results = zeroair_pl.restore(
            list(photos.degraded.values()), preset.configs, out=folder, seed=seed, tensorboard=False, strips=False,
            **preset.settings,
        )  # fmt: skip
    stems = {str(path): stem for stem, path in photos.degraded.items()}
    return {stems[row.input]: row for row in results.rows if row.status != "failed"}


def row_of(scored: Sequence[Scored]) -> dict[str, Any]:
    """One row of the table, from the scores of its photos and seeds."""
    from zeroair_pl.scores.scoring import over_seeds, summarize, worst

    ((result, found),) = summarize(scored).items()
    row: dict[str, Any] = {"photos": len({each.name for each in scored})}
    row |= {metric: round(summary.mean, 4) for metric, summary in found.items()}
    if "psnr" in found:
        name, _, value = worst(scored, result, 1)[0]
        row |= {"worst": round(value, 4), "worst_photo": name}
        if found["psnr"].seed_spread is not None:
            row["spread"] = round(found["psnr"].seed_spread, 4)
            row["largest_range"] = round(max(max(v) - min(v) for v in over_seeds(scored, result, "psnr").values()), 4)
    images: dict[str, dict[str, list[float]]] = {}
    for metric in found:
        for name, values in over_seeds(scored, result, metric).items():
            images.setdefault(name, {})[metric] = [round(value, 4) for value in values]
    return {**row, "images": images}


def show(photos: PhotoSet, name: str, row: dict[str, Any]) -> None:
    cells = (f"{row[key]:8.{digits}f}" if key in row else " " * 8 for key, digits in COLUMNS.items())
    kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(row.get("kinds", {}).values()).items())
    print(f"{photos.name:<22} {row['photos']:6d}  {name:<31} {' '.join(cells)}  {kinds}".rstrip(), flush=True)


def folder_of(out: Path, photos: str, title: str, seed: int) -> Path:
    """The folder of a set's photos that were restored with a config and a seed."""
    return out / photos / title.replace("/", "_") / f"seed-{seed}"


@cache
def code() -> str:
    """A fingerprint of the code and the weights that decide a restored photo."""
    package = Path(zeroair_pl.__file__).parent
    apart = {"cli", "commands", "hub", "inspection", "scores", "training"}
    files = [p for p in package.rglob("*.py") if apart.isdisjoint(p.relative_to(package).parts)]
    files += [p for p in (package / "priors" / "bundled").rglob("*") if p.is_file()]
    files += (package.parent / "plugins").glob("*.py")
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(package.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


main = machine.Command(
    measure,
    __doc__,
    option("--sets", type=Path, help="folder of sets; the example photos alone if not given"),
    option("--config", nargs="+", default=[TASK, "auto"], help="names or paths; + joins layers"),
    option("--seeds", nargs="+", type=int, default=[0, 1, 2]),
    option("--only", nargs="+", default=[], help="names of sets"),
    option("--limit", type=int, help="only so many photos of each set"),
    option("--out", type=Path, default=OUT, help="where the restored photos go"),
)

if __name__ == "__main__":
    raise SystemExit(main())
