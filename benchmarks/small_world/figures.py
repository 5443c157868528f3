"""Draws the pictures of docs/small_world.md from the results, and a sheet of scenes, samples and pairs.

    python benchmarks/small_world/figures.py [--name small_world] [--prior FOLDER]

Writes docs/images/small_world_*.png. The sheet shows samples of the prior, so it is only drawn with ``--prior``.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(1, str(Path(__file__).parents[1]))  # the other benchmarks

import machine
from machine import option

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WATCHED = ("paper's preset", "L2 for the GAN", "no TDM: φ is the identity", "one noise map", "physics in the preset")
TODAYS = "today's preset"
SCALE = 2  # enlargement of the scenes in the sheet


def draw_all(options: argparse.Namespace) -> int:
    """Prints the table and writes the pictures."""
    about = json.loads((machine.RESULTS / f"{options.name}.json").read_text())
    options.out.mkdir(parents=True, exist_ok=True)
    print(table(about))
    save(bars(about), options.out / "small_world_rows.png")
    save(distances(about), options.out / "small_world_tdm.png")
    if options.prior:
        save(sheet(options.prior, about["size"]), options.out / "small_world_scenes.png")
    return 0


def bars(about: dict[str, Any]) -> Image.Image:
    """A bar chart of the mean gain in PSNR of each row over the degraded input, with the smallest and the largest."""
    from matplotlib.figure import Figure

    kinds = {kind: gains(entry) for kind, entry in about["kinds"].items()}
    most = max(len(rows) for rows in kinds.values())
    figure = Figure(figsize=(5.2 * len(kinds), 0.24 * most + 1), layout="constrained")
    for axes, (kind, rows) in zip(np.atleast_1d(figure.subplots(1, len(kinds))), kinds.items(), strict=True):
        titles, values = list(rows), [rows[title] for title in rows]
        means = [sum(each) / len(each) if each else 0.0 for each in values]
        ends = [[mean - min(each, default=0) for mean, each in zip(means, values, strict=True)],
                [max(each, default=0) - mean for mean, each in zip(means, values, strict=True)]]  # fmt: skip
        axes.barh(titles, means, xerr=ends, color="#4a7fb0", ecolor="#222", error_kw={"lw": 0.8})
        axes.axvline(0, color="#222", lw=0.8)
        axes.invert_yaxis()
        axes.tick_params(labelsize=7)
        axes.set_title(f"{kind}: gain in PSNR over the input, dB", fontsize=9)
    return drawn(figure)


def table(about: dict[str, Any]) -> str:
    """The rows as a Markdown table: the gain in PSNR, the difference to the preset, the distance of φ from the truth.

    The gain is that of the scenes that have not diverged: mean ± standard error of the mean (smallest to largest). The
    differences to the preset, also that of the distance, are paired: of the scenes, whose number is in brackets, that
    diverged in neither row.
    """
    lines = ["| kind | row | scenes | gain in PSNR, dB | against the preset, dB | φ to the truth, dB | NFE |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for kind, entry in about["kinds"].items():
        lines.append(
            f"| {kind} | the degraded input | {len(entry['input'])} | 0 ({_mean(entry['input']):.2f} dB) | | | |"
        )
        for title, gain in gains(entry).items():
            row = entry["rows"][title]
            count, lost = len(row["psnr"]), len(row["psnr"]) - len(gain)
            cells = [f"{_mean_and_error(gain)} ({min(gain):+.2f} to {max(gain):+.2f})"] if gain else []
            cells += [f"{lost} diverged"] if lost else []
            nearer = differences(entry, title, "distance")
            distance = f"{_mean(_known(row['distance'])):.1f}" if gain else ""
            distance += f", {_mean_and_error(nearer, 1)}" if len(nearer) > 1 else ""
            paired = differences(entry, title, "psnr")
            against = f"{_mean_and_error(paired)} ({len(paired)})" if paired else ""
            cells = [kind, title, str(count), "; ".join(cells), against, distance, str(row["nfe"])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(entry: dict[str, Any], title: str, what: str) -> list[float]:
    """``what`` of a row minus that of its preset, for each scene that diverged in neither; none for the preset."""
    from rows import BASE

    preset = TODAYS if title.startswith("today") else BASE
    rows = entry["rows"]
    if title == preset or preset not in rows:
        return []
    both = zip(rows[title][what], rows[preset][what], strict=False)
    return [a - b for a, b in both if a is not None and b is not None]


def _mean_and_error(values: Sequence[float], digits: int = 2) -> str:
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{_mean(values):+.{digits}f}{error}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def gains(entry: dict[str, Any]) -> dict[str, list[float]]:
    """The gains of each row on the scenes; none for scenes where it diverged."""
    given = entry["input"]
    return {
        title: [a - b for a, b in zip(row["psnr"], given, strict=False) if a is not None]
        for title, row in entry["rows"].items()
    }


def distances(about: dict[str, Any]) -> Image.Image:
    """A chart of the distance between φ(x) and the true degradation of the true scene x, over the timesteps."""
    from matplotlib.figure import Figure

    kinds = {kind: entry for kind, entry in about["kinds"].items() if any("physics in" in t for t in entry["rows"])}
    kinds = kinds or dict(list(about["kinds"].items())[:1])
    figure = Figure(figsize=(4.2 * len(kinds), 3), layout="constrained")
    for axes, (kind, entry) in zip(np.atleast_1d(figure.subplots(1, len(kinds))), kinds.items(), strict=True):
        for title in WATCHED:
            row = entry["rows"].get(title, {})
            if row.get("distances"):
                axes.plot(row["fractions"], [_mean(_known(each)) for each in row["distances"]], label=title, lw=1.2)
        axes.invert_xaxis()
        axes.set_xlabel("t/T, from pure noise to clean", fontsize=8)
        axes.set_title(f"{kind}: φ(x) to the true degradation, dB", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7)
    return drawn(figure)


def sheet(prior: str, size: int) -> Image.Image:
    """Rows of sixteen scenes, of samples that the prior draws from pure noise, and of degraded scenes of each kind."""
    from pairs import FIRST, KINDS, pair
    from scenes import scene

    from zeroair_pl.priors import UNetPrior
    from zeroair_pl.sampling.unconditional import draw

    scenes = [scene(FIRST + i, size).clean[0] for i in range(16)]
    samples = list(draw(UNetPrior(prior), 16, size, 60, show=False))
    pairs = [pair(kind, i, size).y[0] for kind in KINDS for i in range(16)]
    rows = [part[i : i + 16] for part in (scenes, samples, pairs) for i in range(0, len(part), 16)]
    pad = torch.nn.functional.pad
    image = torch.cat([torch.cat([pad(x, (0, 1, 0, 1), value=1.0) for x in row], 2) for row in rows], 1)
    pixels = (image.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels).resize((SCALE * pixels.shape[1], SCALE * pixels.shape[0]), Image.Resampling.NEAREST)


def drawn(figure: Any) -> Image.Image:
    """A figure of matplotlib as a picture."""
    data = io.BytesIO()
    figure.savefig(data, dpi=110)
    return Image.open(data).convert("RGB")


def save(image: Image.Image, path: Path) -> None:
    """Writes a PNG file with a small palette, which saves space."""
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


main = machine.Command(
    draw_all,
    __doc__,
    option("--prior", help="folder of the prior of this world"),
    option("--out", type=Path, default=IMAGES),
    name="small_world",
)

if __name__ == "__main__":
    raise SystemExit(main())
