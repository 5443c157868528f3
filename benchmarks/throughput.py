"""Photos per minute, the parts of the time, the memory of a long list, and the time of a start.

    python benchmarks/throughput.py [--parts lists processes share memory start] [--config dehaze]

    lists      photos per minute of whole restorations of a list on the CPU, by side
    processes  the command line on one list: one process with all threads, or as many processes with one thread each
    share      the prior's share of the time of the fits and of the whole list, on the CPU
    memory     resident memory after each photo of a long list of small ones, in a separate process (Linux)
    start      seconds of --help, of restore --help, and of a run of one photo

A config may be several names joined by +; later ones override earlier ones. The photos are crops of the examples.
Writes benchmarks/results/NAME.json with a section for each part; a run of some parts keeps the sections of the others.
A GPU has its own command, gpu_check.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import machine
import throughput_commands
import throughput_lists
from machine import option

PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "lists": throughput_lists.lists,
    "processes": throughput_commands.processes,
    "share": throughput_lists.share,
    "memory": throughput_lists.memory,
    "start": throughput_commands.start,
}


def measure(options: argparse.Namespace) -> int:
    """Runs the parts, prints each, and puts it into the JSON file."""
    if options.resident:
        print(json.dumps(throughput_lists.resident(options)))
        return 0
    for part in options.parts:
        section = PARTS[part](options)
        print(f"\n{part}")
        for line in lines(section):
            print(line, flush=True)
        sections = {**_before(options.name), part: {**machine.described(), **section}}
        path = machine.write(options.name, {name: sections[name] for name in PARTS if name in sections})
    print(f"\nall numbers: {path}")
    return 0


def lines(section: dict[str, Any]) -> Iterator[str]:
    """A section as text: its tables and its goals."""
    yield from table(section["rows"])
    for goal in section.get("goals", ()):
        sign, met = "≥" if goal["at_least"] else "≤", "pass" if goal["met"] else "FAIL"
        yield f"{goal['what']}: {goal['value']:g}, goal {sign} {goal['limit']:g}: {met}"


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A table of rows with the same keys, with a header; values that are lists are left out."""
    titles = [title for title, value in rows[0].items() if not isinstance(value, list)]
    cells = [[str(row[title]) for title in titles] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    words = [isinstance(rows[0][title], str) for title in titles]
    for line in (titles, *cells):
        sides = zip(line, widths, words, strict=True)
        yield "  " + "  ".join(f"{cell:<{width}}" if left else f"{cell:>{width}}" for cell, width, left in sides)


def _before(name: str) -> dict[str, Any]:
    path = machine.RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


main = machine.Command(
    measure,
    __doc__,
    option("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART"),
    option("--config", default="dehaze", help="of all parts but share"),
    option("--presets", nargs="+", default=["dehaze", "low_light", "denoise", "auto"], help="of share"),
    option("--side", type=int, default=256, help="of the photos, where it is not the part's own"),
    option("--sides", nargs="+", type=int, default=[64, 128, 256], help="of lists"),
    option("--repeat", type=int, default=3, help="rounds; medians count"),
    option("--photos", type=int, help="in a list, in the place of each part's own number"),
    # For the process of the part memory: it restores these photos.
    option("--resident", type=Path, help=argparse.SUPPRESS),
    name="throughput",
)

if __name__ == "__main__":
    raise SystemExit(main())
