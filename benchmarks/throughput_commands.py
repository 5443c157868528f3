"""The command line in separate processes, for throughput.py: several processes on a list, and the time of a start."""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

import clocks
import machine
from clocks import crops, goal, layers

CLI = Path(__file__).parents[1] / "cli.py"
HELP = 1.0  # seconds that --help may take


def processes(options: argparse.Namespace) -> dict[str, Any]:
    """One process with a thread for each core, and one process with one thread for each core; including their start."""
    photos = options.photos or 24
    cores = max(2, machine.cores())
    ways = ((1, cores), (cores, 1))
    seconds: list[list[float]] = [[] for _ in ways]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crops(layers(options.config), options.side, photos, folder / "photos")
        for turn in range(options.repeat):
            for i, (devices, threads) in enumerate(ways):
                words = [*_restore(options.config, folder / "photos", folder / f"{turn}-{i}")]
                words += ["--trainer.accelerator", "cpu", "--trainer.devices", str(devices)]
                seconds[i].append(clocks.started(CLI, *words, OMP_NUM_THREADS=str(threads))[0])
    rows = []
    for (devices, threads), each in zip(ways, seconds, strict=True):
        ratios = [first / own for first, own in zip(seconds[0], each, strict=True)]
        row = {"processes": devices, "threads": threads, "seconds": round(statistics.median(each), 1)}
        row |= {"per_minute": round(60 * photos / statistics.median(each), 1)}
        row |= {"ratio": round(statistics.median(ratios), 3)}
        rows.append({**row, "least": round(min(ratios), 3), "most": round(max(ratios), 3)})
    about = {"config": machine.title_of(options.config), "photos": photos, "side": options.side}
    return {**about, "repeat": options.repeat, "rows": rows}


def start(options: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of short commands, after one that is not counted; for a run also the seconds of its fit."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (photo,) = crops(layers(options.config), options.side, 1, folder / "photos")
        commands = {"--help": ["--help"], "restore --help": ["restore", "--help"], "one photo": []}
        for title, words in commands.items():
            seconds, fits = [], []
            for turn in range(1 + (options.repeat if not words else options.repeat + 2)):
                out = folder / str(turn)
                seconds.append(clocks.started(CLI, *(words or _restore(options.config, photo, out)))[0])
                if not words:
                    with open(out / "results.csv", encoding="utf-8", newline="") as file:
                        fits.append(float(next(csv.DictReader(file))["seconds"]))
            row: dict[str, Any] = {"command": title, "seconds": round(statistics.median(seconds[1:]), 2)}
            row |= {"least": round(min(seconds[1:]), 2), "most": round(max(seconds[1:]), 2)}
            rows.append({**row, "fit": round(statistics.median(fits[1:]), 2) if fits else 0})
    goals = [goal("seconds of --help", rows[0]["seconds"], HELP, at_least=False)]
    return {"config": machine.title_of(options.config), "side": options.side, "rows": rows, "goals": goals}


def _restore(config: str, images: Path, out: Path) -> list[str]:
    named = [word for layer in layers(config) for word in ("--config", layer)]
    return ["restore", *named, "--images", str(images), "--out", str(out)]
