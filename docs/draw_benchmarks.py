"""Draws the figures and the tables of the documentation from the numbers in benchmarks/results.

    python docs/draw_benchmarks.py

`make docs` does so before it builds the pages. A table stands between two comments in its page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
SETS = {
    "haze-hsts": "haze (HSTS)",
    "haze-sots-indoor": "haze, indoor (SOTS)",
    "lowlight-lol256": "low light (LOL, 256×256)",
    "lowlight-lol": "low light (LOL, 600×400)",
    "noise-kodak256": "noise (Kodak, 256×256)",
    "noise-real": "noise of cameras (PolyU)",
    "underwater-euvp": "underwater (EUVP)",
    "underwater-funie": "underwater (FUnIE)",
    "rain-100": "rain (Rain100)",
    "clean-noise-kodak256": "clean photos (Kodak), to themselves",
    "clean-haze-hsts": "clean photos (HSTS), to themselves",
}
SAME = 130.0  # dB; photos without any difference are given 138
GRAY, BLUE, ORANGE, GREEN = "#9aa0a6", "#3b6ea5", "#d98032", "#4f9d69"


def main(results: Path = RESULTS, docs: Path = DOCS) -> None:
    matplotlib.rcParams.update({"svg.hashsalt": "zeroair", "svg.fonttype": "none", "font.size": 9})
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in results.glob("*.json")}
    folder = docs / "images" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (("quality", quality), ("split", split), ("sizes", sizes), ("denoising", denoising)):
        figure = draw(read[name])
        figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    _put(docs / "benchmarks.md", "quality", table(read["quality"]))
    _put(docs / "benchmarks.md", "operators", operators(read["operators"]["rows"]))
    _put(docs / "development.md", "reference", compared(read["reference"], read["quality"]))


def _put(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the comment that names the table and the next end."""
    place = re.compile(rf"(<!-- table of {name}.json -->\n).*?(<!-- end -->)", re.DOTALL)
    old = page.read_text(encoding="utf-8")
    page.write_text(place.sub(lambda found: found[1] + text + found[2], old), encoding="utf-8")


def operators(rows: list[dict[str, Any]]) -> str:
    """PSNR of each kind of operator, with its parameters known and unknown, as a table in Markdown."""
    lines = [
        "| kind | photos | degraded | known | blind | `auto` | smallest gain when blind | passes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["kind"], {})[row["way"]] = row
    for kind, ways in found.items():
        any_of_them = ways.get("blind") or ways.get("known") or ways["auto"]
        cells = [f"{ways[way]['psnr']:.2f}" if way in ways else "–" for way in ("known", "blind", "auto")]
        worst = f"{ways['blind']['worst']:+.1f} dB".replace("-", "−") if "blind" in ways else "–"
        start = f"| {kind} | {any_of_them['photos']} | {any_of_them['input']:.2f} |"
        lines.append(f"{start} {' | '.join(cells)} | {worst} | {any_of_them['nfe']:.0f} |")
    return "\n".join(lines) + "\n"


def compared(reference: dict[str, Any], measured: dict[str, Any]) -> str:
    """PSNR, SSIM and passes of the prior, at the reference commit and now, as a table in Markdown."""
    lines = ["| set | config | reference | now | difference | passes |", "|---|---|---|---|---|---|"]
    for name, rows in reference["sets"].items():
        for row in ("task", "auto"):
            before, now = rows.get(row), measured["sets"].get(name, {}).get("rows", {}).get(row)
            if before is None or now is None:
                continue
            gain = f"{now['psnr'] - before['psnr']:+.2f} dB".replace("-", "−")
            passes = f"{before['nfe']:.1f} → {now['nfe']:.1f}"
            lines.append(f"| {SETS[name]} | {row} | {_score(before)} | {_score(now)} | {gain} | {passes} |")
    return "\n".join(lines) + "\n"


def table(measured: dict[str, Any]) -> str:
    """The rows of each set as a table in Markdown."""
    lines = [
        "| set | photos | degraded | task | `auto` | the paper's released images | smallest gain of `auto` |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, words in SETS.items():
        rows = measured["sets"][name]["rows"]
        score = _score if "input" in rows else _kept
        cells = [score(rows.get(row)) for row in ("input", "task", "auto", "published")]
        worst = rows["auto"]["worst"]
        gain = f"lowest {worst:.1f} dB" if "input" not in rows else f"{worst:+.1f} dB".replace("-", "−")
        lines.append(f"| {words} | {measured['sets'][name]['photos']} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines) + "\n"


def _score(row: dict[str, Any] | None) -> str:
    return "–" if row is None else f"{row['psnr']:.2f} / {row['ssim']:.3f}".replace(" 0.", " .")


def _kept(row: dict[str, Any] | None) -> str:
    """Of clean photos: how many are the same afterwards, bit by bit; else their mean PSNR is meaningless."""
    if row is None:
        return "–"
    values = [float(np.mean(each["psnr"])) for each in row["images"].values()]
    changed = [value for value in values if value < SAME]
    mean = f", others {np.mean(changed):.1f} dB" if changed else ""
    return f"{len(values) - len(changed)} of {len(values)} unchanged{mean}"


def quality(measured: dict[str, Any]) -> Figure:
    """PSNR of each set: degraded, the best simple method, and this project."""
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_subplot()
    names = [name for name in SETS if "input" in measured["sets"][name]["rows"]][::-1]
    for at, name in enumerate(names):
        rows = measured["sets"][name]["rows"]
        floors = [row["psnr"] for title, row in rows.items() if title.startswith("floor")]
        auto = rows["auto"]["psnr"]
        axes.plot([rows["input"]["psnr"], auto], [at, at], color="#d0d3d6", zorder=1)
        axes.scatter([rows["input"]["psnr"]], [at], color=GRAY, label="degraded" if not at else None)
        axes.scatter([max(floors)], [at], color=ORANGE, marker="|", s=90, label=None if at else "best simple method")
        axes.scatter([auto], [at], color=BLUE, label=None if at else "auto")
        if "task" in rows:
            axes.scatter([rows["task"]["psnr"]], [at], color=GREEN, marker="x", label=None if at != 1 else "task")
    axes.set_yticks(range(len(names)), [SETS[name].partition(", which")[0] for name in names])
    axes.set_xlabel("mean PSNR in dB")
    axes.legend(loc="upper right", frameon=False)
    return figure


def split(measured: dict[str, Any]) -> Figure:
    """Seconds of one photo of 256×256 by part of the method."""
    figure = Figure(figsize=(7, 2.2))
    axes = figure.add_subplot()
    fits = measured["fits"][::-1]
    left = [0.0] * len(fits)
    for part, color in (("prior", BLUE), ("TDM", ORANGE), ("TDG", GREEN), ("rest", GRAY)):
        seconds = [fit["seconds"][part] for fit in fits]
        axes.barh(range(len(fits)), seconds, left=left, color=color, label=part, height=0.7)
        left = [a + b for a, b in zip(left, seconds, strict=True)]
    axes.set_yticks(range(len(fits)), [f"{fit['config']}, {fit['steps']} steps" for fit in fits])
    axes.set_xlabel(f"seconds for one photo of {measured['side']}×{measured['side']}")
    axes.legend(frameon=False)
    return figure


def sizes(measured: dict[str, Any]) -> Figure:
    """Seconds and memory by the size of the photo."""
    figure = Figure(figsize=(7, 2.4))
    rows = measured["sizes"]
    for place, (key, scale, words) in enumerate((("seconds", 1, "seconds"), ("peak", 1024, "peak memory in GiB"))):
        axes = figure.add_subplot(1, 2, place + 1)
        axes.plot([row["megapixels"] for row in rows], [row[key] / scale for row in rows], "o-", color=BLUE)
        axes.set_xlabel("megapixels")
        axes.set_ylabel(words)
        axes.set_ylim(bottom=0)
    figure.subplots_adjust(wspace=0.3)
    return figure


def denoising(measured: dict[str, Any]) -> Figure:
    """PSNR of the prior's clean estimate by the noise that was put on."""
    figure = Figure(figsize=(7, 2.6))
    axes = figure.add_subplot()
    for name, words, color in (("small", "bundled prior", BLUE), ("non-local means", "non-local means", ORANGE)):
        axes.plot(measured["sigma"], measured["psnr"][name], "o-", color=color, label=words)
    axes.set_xscale("log")
    axes.set_xticks(measured["sigma"], [str(sigma) for sigma in measured["sigma"]])
    axes.minorticks_off()
    axes.set_xlabel("standard deviation of the noise (values from 0 to 255)")
    axes.set_ylabel("PSNR in dB")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
