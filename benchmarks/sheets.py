"""Contact sheets of the photos that quality.py has restored: a row per photo, with the input, results and clean photo.

    python benchmarks/sheets.py FOLDER --sets SETS [--config task auto] [--only SET ...] [--seed 0]

Writes FOLDER/SET.jpg for every set that was restored with one of the configs, also for sets without clean photos. The
photos are in the order of their gain with the last config, the worst first, and the names of the worst three are
printed. Photos of research sets must not be published, and neither must their sheets.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import machine
import quality
import sets
from machine import option
from sets import PhotoSet

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from zeroair_pl.scores.scoring import Scored

WORST = 3  # photos to name


def draw_all(options: argparse.Namespace) -> int:
    """Draws a sheet of each set."""
    written = 0
    for photos in sets.find(options.sets, options.only):
        titles = map(machine.title_of, options.config)
        found = {title: _restored(photos, title, options) for title in titles}
        if found := {title: files for title, files in found.items() if files}:
            path = options.folder / f"{photos.name}{options.format}"
            draw(path, photos, found, options.cell)
            written += 1
    if not written:
        raise ConfigError(f"--results {options.results}: nothing of these sets and configs was restored there.")
    return 0


def draw(path: Path, photos: PhotoSet, restored: dict[str, dict[str, Path]], cell: int) -> None:
    """One sheet; ``restored`` holds the files by config and stem."""
    from zeroair_pl.inspection.strips import contact_sheet
    from zeroair_pl.photos.reading import load_photo
    from zeroair_pl.scores.scoring import worst

    columns = {"input": photos.degraded, **restored, "published": photos.published}
    if not photos.harmless:
        columns["truth"] = photos.clean
    columns = {title: files for title, files in columns.items() if files}
    names = [name for name in photos.degraded if any(name in files for files in restored.values())]
    rows, labels, scored = {}, {}, []
    for name in names:
        images = {title: load_photo(files[name]).pixels for title, files in columns.items() if name in files}
        rows[name] = [images.get(title) for title in columns]
        found = _scores(name, images, photos, load_photo(photos.clean[name]).pixels if name in photos.clean else None)
        labels[name] = [_label(found.get(title)) for title in columns]
        scored += [found[title] for title in restored if title in found]
    last = list(restored)[-1]
    order = [name for name, _, _ in worst(scored, last, len(names))]
    order += [name for name in names if name not in order]
    contact_sheet(path, [(name, rows[name]) for name in order], list(columns), [labels[n] for n in order], cell)
    print(f"{path}: {len(order)} photos")
    for name, metric, value in worst(scored, last, WORST):
        print(f"  {name:<40} {last} {metric} {value:+.2f} dB")


def _scores(name: str, images: dict[str, Tensor], photos: PhotoSet, truth: Tensor | None) -> dict[str, Scored]:
    """Scores by column; none for the clean photo itself, or without a clean photo."""
    from zeroair_pl.scores.scoring import Scored, score

    if truth is None:
        return {}
    before = None if photos.harmless else images["input"]
    apart = ("truth", "input") if photos.harmless else ("truth",)
    shown = {title: image for title, image in images.items() if title not in apart}
    return {title: Scored(title, name, score(image, truth, before)) for title, image in shown.items()}


def _label(scored: Scored | None) -> str:
    if scored is None:
        return ""
    gain = scored.scores.get("gain", 0.0)
    return f"{scored.scores['psnr']:.2f} dB" + (f" ({gain:+.2f})" if gain else "")


def _restored(photos: PhotoSet, title: str, options: argparse.Namespace) -> dict[str, Path]:
    files = sets.by_stem(quality.folder_of(options.results, photos.name, title, options.seed))
    return {name: path for name, path in files.items() if name in photos.degraded}


main = machine.Command(
    draw_all,
    __doc__,
    option("folder", type=Path, help="where the sheets go"),
    option("--sets", type=Path, help="as for quality.py"),
    option("--results", type=Path, default=quality.OUT, help="--out of quality.py"),
    option("--config", nargs="+", default=[quality.TASK, "auto"], help="those of quality.py to show"),
    option("--only", nargs="+", default=[], help="names of sets"),
    option("--seed", type=int, default=0),
    option("--cell", type=int, default=320, help="longest side of a picture, in pixels"),
    option("--format", choices=[".jpg", ".png"], default=".jpg"),
)

if __name__ == "__main__":
    raise SystemExit(main())
