"""Lists of photos in this process, for throughput.py: by batch, the prior's share, and memory."""

from __future__ import annotations

import argparse
import hashlib
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
from costs import Costs

CPU = {"accelerator": "cpu"}
PLAIN = {"tensorboard": False, "strips": False}
SHARE = 0.75  # of the time, that the prior should have
GROWTH = 20.0  # MiB, or
GROWTH_SHARE = 0.05  # of what there was at first: more is no flat memory
SMALL = 64  # side of the photos whose memory is watched
MOST = 12  # costs that are listed


def batches(options: argparse.Namespace) -> dict[str, Any]:
    """Photos per minute by side and batch, without pictures; for the last side and the first batch also with them."""
    photos, equal = options.photos or 2 * max(options.batch), True
    rows: list[dict[str, Any]] = []
    for side in options.sides:
        cases: list[tuple[int, dict[str, Any]]] = [(batch, PLAIN) for batch in options.batch]
        cases += [(options.batch[0], {})] if side == options.sides[-1] else []
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = crops(layers(options.config), side, photos, folder / "photos")
            seconds: list[list[float]] = [[] for _ in cases]
            found = set()
            first = files[: max(options.batch)]
            restored(first, layers(options.config), folder / "warm", batch=len(first), trainer=CPU, **PLAIN)
            for turn in range(options.repeat):
                for i, (batch, more) in enumerate(cases):
                    out = folder / f"{turn}-{i}"
                    run = restored(files, layers(options.config), out, batch=batch, trainer=CPU, **more)
                    seconds[i].append(run.seconds)
                    found.add(_digest(out, [row.output for row in run.results.rows]))
            equal &= len(found) == 1
        for (batch, more), each in zip(cases, seconds, strict=True):
            ratios = [first / own for first, own in zip(seconds[0], each, strict=True)]
            row = {"side": side, "batch": batch, "pictures": not more}
            row |= {"per_minute": round(60 * photos / statistics.median(each), 1)}
            row |= {"ratio": round(statistics.median(ratios), 3)}
            rows.append({**row, "least": round(min(ratios), 3), "most": round(max(ratios), 3)})
    about = {"config": machine.title_of(options.config), "photos": photos, "repeat": options.repeat}
    return {**about, "rows": rows, "equal_files": equal}


def share(options: argparse.Namespace) -> dict[str, Any]:
    """The prior's share by preset, with pictures and without, and the largest costs beside it, with pictures."""
    photos, rows, costs = options.photos or 4, [], {}
    for preset in options.presets:
        title = machine.title_of(preset)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = crops(layers(preset), options.side, photos, folder / "photos")
            restored(files[:1], layers(preset), folder / "warm", batch=1, trainer=CPU)
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
            watched = Costs(type(clocks.method_of(*layers(preset)).prior).predict)
            _spent(files, preset, folder / "watched", watched=watched)
            costs[title] = watched.rows(photos, MOST)
    goals = [goal(f"prior's share of the list, {r['preset']}", r["of_list"], SHARE) for r in rows if r["pictures"]]
    about = {"photos": photos, "side": options.side, "repeat": options.repeat}
    return {**about, "rows": rows, "costs": costs, "goals": goals}


def _spent(
    files: list[Path], preset: str, out: Path, pictures: bool = True, watched: Costs | None = None
) -> dict[str, float]:
    """Seconds of a list one photo at a time: the list, its fits, the prior in them, and reading and writing, which
    other threads do meanwhile. Loading the prior and reading the settings is not in the list."""
    from zeroair_pl.jobs import sharing
    from zeroair_pl.jobs.job import Job

    prior = type(clocks.method_of(*layers(preset)).prior)
    spent: dict[str, float] = defaultdict(float)
    inner = sharing.restore_all

    def whole(*args: Any, **kwargs: Any) -> None:
        with ExitStack() as stack:
            if watched is not None:
                stack.enter_context(watched.watching())
            inner(*args, **kwargs)

    with ExitStack() as stack:
        sharing.restore_all = whole
        stack.callback(setattr, sharing, "restore_all", inner)
        for owner, method, name in ((sharing, "restore_all", "list"), (prior, "predict", "prior")):
            stack.enter_context(clock(owner, method, spent, name))
        for method in ("read", "write"):
            stack.enter_context(clock(Job, method, spent, method))
        run = restored(files, layers(preset), out, batch=1, trainer=CPU, **({} if pictures else PLAIN))
    return {**spent, "fit": sum(row.seconds or 0 for row in run.results.rows)}


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory over a long list, one at a time and in the largest batch: does it grow?"""
    photos, rows, goals = options.photos or 200, [], []
    with tempfile.TemporaryDirectory() as name:
        files = crops(layers(options.config), min(SMALL, options.side), photos, Path(name) / "photos")
        for batch in sorted({1, max(options.batch)}):
            words = ("--resident", files[0].parent, "--config", options.config, "--batch", str(batch))
            _, out = clocks.started(Path(__file__).with_name("throughput.py"), *words)
            held: list[float] = json.loads(out.splitlines()[-1])
            quarter = max(1, len(held) // 4)
            first, last = statistics.median(held[:quarter]), statistics.median(held[-quarter:])
            slope = statistics.linear_regression(range(len(held)), held).slope
            row = {"batch": batch, "first_quarter": round(first, 1), "last_quarter": round(last, 1)}
            row |= {"most": max(held), "per_photo": round(slope, 3)}
            rows.append({**row, "resident": held})
            limit = max(GROWTH, round(GROWTH_SHARE * first, 1))
            goals.append(goal(f"MiB more at the end, batch {batch}", round(last - first, 1), limit, at_least=False))
    about = {"config": machine.title_of(options.config), "photos": photos, "unit": "MiB"}
    return {**about, "rows": rows, "goals": goals}


def resident(options: argparse.Namespace) -> list[float]:
    """MiB of this process after each photo of a folder, which it restores."""
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
        out = options.resident.parent / f"restored-{options.batch[0]}"
        restored(sorted(options.resident.iterdir()), layers(options.config), out, batch=options.batch[0], trainer=CPU)
    return held


def _digest(folder: Path, names: list[str]) -> str:
    found = hashlib.sha256()
    for name in names:
        found.update(name.encode() + b"\0" + (folder / name).read_bytes())
    return found.hexdigest()
