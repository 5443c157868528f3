"""Lists of photos in this process, for throughput.py: speed by side, the prior's share of the time, and memory."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import clocks
import machine
from clocks import clock, crops, goal, layers, restored

CPU = {"accelerator": "cpu"}
PLAIN = {"tensorboard": False, "strips": False}
SHARE = 0.75  # goal: the prior's share of the time
GROWTH = 20.0  # MiB of growth that are allowed, or
GROWTH_SHARE = 0.05  # this share of the first value
SMALL = 64  # px, side of the photos in the part memory


def lists(options: argparse.Namespace) -> dict[str, Any]:
    """Photos per minute by side, without writing pictures; for the last side also with them."""
    photos, rows = options.photos or 16, list[dict[str, Any]]()
    for side in options.sides:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = crops(layers(options.config), side, photos, folder / "photos")
            restored(files[:1], layers(options.config), folder / "warm", trainer=CPU, **PLAIN)
            for pictures in (False, True) if side == options.sides[-1] else (False,):
                seconds = [
                    restored(
                        files,
                        layers(options.config),
                        folder / f"{turn}-{pictures}",
                        trainer=CPU,
                        **({} if pictures else PLAIN),
                    ).seconds
                    for turn in range(options.repeat)
                ]
                per_minute = [round(60 * photos / each, 1) for each in (statistics.median(seconds), *seconds)]
                row = {"side": side, "pictures": pictures, "per_minute": per_minute[0]}
                rows.append({**row, "least": min(per_minute), "most": max(per_minute)})
    return {"config": machine.title_of(options.config), "photos": photos, "repeat": options.repeat, "rows": rows}


def share(options: argparse.Namespace) -> dict[str, Any]:
    """The prior's share by preset, with and without pictures."""
    photos, rows = options.photos or 4, []
    for preset in options.presets:
        title = machine.title_of(preset)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = crops(layers(preset), options.side, photos, folder / "photos")
            restored(files[:1], layers(preset), folder / "warm", trainer=CPU)
            found: dict[bool, list[dict[str, float]]] = {False: [], True: []}
            for turn in range(options.repeat):
                for pictures in found:
                    spent = _spent(files, preset, folder / f"{turn}-{pictures}", pictures)
                    found[pictures].append({key: value / photos for key, value in spent.items()})
            for pictures, each in found.items():
                middle = {key: statistics.median(spent[key] for spent in each) for key in each[0]}
                row: dict[str, Any] = {"preset": title, "pictures": pictures}
                row |= {f"{key}_s": round(middle[key], 3) for key in ("list", "fit", "prior", "read", "write")}
                for whole in ("fit", "list"):
                    shares = [spent["prior"] / spent[whole] for spent in each]
                    row[f"of_{whole}"] = round(statistics.median(shares), 3)
                rows.append(row)
    goals = [goal(f"prior's share of the list, {r['preset']}", r["of_list"], SHARE) for r in rows if r["pictures"]]
    about = {"photos": photos, "side": options.side, "repeat": options.repeat}
    return {**about, "rows": rows, "goals": goals}


def _spent(files: list[Path], preset: str, out: Path, pictures: bool) -> dict[str, float]:
    """Seconds of a list, its fits, the prior in them, and reading and writing, which other threads do at the same time.

    They do not include loading the prior and reading the settings.
    """
    from zeroair_pl.jobs import sharing
    from zeroair_pl.jobs.job import Job

    prior = type(clocks.method_of(*layers(preset)).prior)
    spent: dict[str, float] = defaultdict(float)
    with ExitStack() as stack:
        for owner, method, name in ((sharing, "restore_all", "list"), (prior, "denoise", "prior")):
            stack.enter_context(clock(owner, method, spent, name))
        for method in ("read", "write"):
            stack.enter_context(clock(Job, method, spent, method))
        run = restored(files, layers(preset), out, trainer=CPU, **({} if pictures else PLAIN))
    return {**spent, "fit": sum(row.seconds or 0 for row in run.results.rows)}


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory over a long list, and whether it grows."""
    photos = options.photos or 200
    with tempfile.TemporaryDirectory() as name:
        files = crops(layers(options.config), min(SMALL, options.side), photos, Path(name) / "photos")
        words = ("--resident", files[0].parent, "--config", options.config)
        _, out = clocks.started(Path(__file__).with_name("throughput.py"), *words)
    held: list[float] = json.loads(out.splitlines()[-1])
    quarter = max(1, len(held) // 4)
    first, last = statistics.median(held[:quarter]), statistics.median(held[-quarter:])
    slope = statistics.linear_regression(range(len(held)), held).slope
    row = {"first_quarter": round(first, 1), "last_quarter": round(last, 1)}
    row |= {"most": max(held), "per_photo": round(slope, 3)}
    limit = max(GROWTH, round(GROWTH_SHARE * first, 1))
    goals = [goal("MiB more at the end", round(last - first, 1), limit, at_least=False)]
    about = {"config": machine.title_of(options.config), "photos": photos, "unit": "MiB"}
    return {**about, "rows": [{**row, "resident": held}], "goals": goals}


def resident(options: argparse.Namespace) -> list[float]:
    """Restores the photos of a folder; returns the resident memory of this process in MiB after each photo."""
    from zeroair_pl.jobs.outputs import Outputs

    held: list[float] = []
    inner = Outputs.add

    def add(self: Outputs, row: Any) -> None:
        inner(self, row)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held.append(round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2))

    with ExitStack() as stack:
        setattr(Outputs, "add", add)  # noqa: B010 - mypy knows a method when it sees one
        stack.callback(setattr, Outputs, "add", inner)
        photos = sorted(options.resident.iterdir())
        restored(photos, layers(options.config), options.resident.parent / "restored", trainer=CPU)
    return held
