"""Scores as files for programs (CSV, JSON) and as tables for people."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zeroair_pl.photos.ownership import OwnFiles
from zeroair_pl.scores.scoring import DEGRADED, METRICS, Scored, Summary, over_seeds, summarize, worst

FILES = ("scores.csv", "summary.csv", "scores.json")
LISTED = 40  # images that are printed one by one; of more, only the files have all
_NAME = 36  # characters of an image's name in a printed table
_IN_FILES = 5  # digits after the decimal point

Summaries = Mapping[str, Mapping[str, Summary]]


def write(folder: Path, scored: Sequence[Scored], errors: Sequence[str]) -> None:
    """Writes ``scores.csv``, ``summary.csv`` and ``scores.json``, each whole or not at all.

    Raises InputError if a file cannot be written, or is not from this program.
    """
    own = OwnFiles(folder)
    columns, summaries = _known(scored), summarize(scored)
    rows = [{"result": each.result, "name": each.name, "seed": each.seed, **_rounded(each.scores)} for each in scored]
    summary = {
        result: {metric: _rounded(asdict(values)) for metric, values in by_metric.items()}
        for result, by_metric in summaries.items()
    }
    flat = [
        {"result": result, "metric": metric, **values}
        for result, by_metric in summary.items()
        for metric, values in by_metric.items()
    ]
    own.write("scores.csv", _as_csv(["result", "name", "seed", *columns], rows))
    own.write("summary.csv", _as_csv(["result", "metric", *Summary.__dataclass_fields__], flat))
    everything = {
        "metrics": {name: {"meaning": METRICS[name].meaning, "better": METRICS[name].better} for name in columns},
        "summary": summary,
        "worst": {
            result: [{"name": name, metric: round(value, _IN_FILES)} for name, metric, value in worst(scored, result)]
            for result in summary
        },
        "scores": [{key: value for key, value in row.items() if value is not None} for row in rows],
        "errors": list(errors),
    }
    own.write("scores.json", _utf8(json.dumps(everything, indent=1, ensure_ascii=False) + "\n"))


def shown(scored: Sequence[Scored]) -> str:
    """The scores for people: each image, means and spreads, a legend, and the images with the worst scores."""
    summaries = summarize(scored)
    metrics = {METRICS[name].title: METRICS[name] for name in _known(scored)}
    width = max(map(len, metrics))
    legend = [
        f"{title:{width}}  {metric.meaning}{f'; {metric.better} is better' if metric.better else ''}"
        for title, metric in metrics.items()
    ]
    notes = []
    for result in summaries:
        if result != DEGRADED and (found := worst(scored, result)):
            title, digits = METRICS[found[0][1]].title, METRICS[found[0][1]].digits
            listed = ", ".join(f"{_short(name)} {value:.{digits}f}" for name, _, value in found)
            notes.append(f"least {title} of {result}: {listed}")
    counts = {result: by_metric["noise"].images for result, by_metric in summaries.items()}
    if len(set(counts.values())) > 1:
        notes.append(f"the means are not over the same images: {', '.join(f'{k} {v}' for k, v in counts.items())}")
    return "\n\n".join(
        [_each_image(scored), _means(summaries), "\n".join(legend), *(["\n".join(notes)] if notes else [])]
    )


def _each_image(scored: Sequence[Scored]) -> str:
    """One line for each image, with its mean over the seeds; one column for each set of results."""
    names = list(dict.fromkeys(each.name for each in scored))
    if len(names) > LISTED:
        return f"{len(names)} images, listed in the table of scores."
    results = list(dict.fromkeys(each.result for each in scored))
    metrics = ("psnr", "ssim") if "psnr" in _known(scored) else ("noise", "blur")
    table = _table(" / ".join(METRICS[metric].title for metric in metrics), results)
    values = {(result, metric): over_seeds(scored, result, metric) for result in results for metric in metrics}
    for name in names:
        cells = []
        for result in results:
            known = [(metric, values[result, metric][name]) for metric in metrics if name in values[result, metric]]
            cells.append(" / ".join(f"{statistics.fmean(each):.{METRICS[metric].digits}f}" for metric, each in known))
        table.add_row(_short(name), *cells)
    return _drawn(table)


def _means(summaries: Summaries) -> str:
    """One line for each metric; one column for each set of results."""
    seeded = {
        result for result, found in summaries.items() if any(each.seed_spread is not None for each in found.values())
    }
    heads: list[str] = []
    for result in summaries:
        heads += [result, "± over seeds"] if result in seeded else [result]
    table = _table("mean ± over images", heads)
    for metric in ("images", *METRICS):
        cells: list[str] = []
        for result, found in summaries.items():
            mean, seeds = ("", "")
            if metric == "images":
                mean = str(found["noise"].images)
            elif metric in found:
                mean, seeds = _cells(found[metric], METRICS[metric].digits)
            cells += [mean, seeds] if result in seeded else [mean]
        if any(cells):
            table.add_row(METRICS[metric].title if metric in METRICS else metric, *cells)
    return _drawn(table)


def _cells(summary: Summary, digits: int) -> tuple[str, str]:
    spread = "" if summary.spread is None else f" ± {summary.spread:.{digits}f}"
    seeds = "" if summary.seed_spread is None else f"± {summary.seed_spread:.{digits}f}"
    return f"{summary.mean:.{digits}f}{spread}", seeds


def _table(first: str, others: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(Text(first))
    for title in others:
        table.add_column(Text(title), justify="right")
    return table


def _drawn(table: Table) -> str:
    """The table at its full width: a terminal can wrap long lines, and a pager scroll them."""
    stream = io.StringIO()
    Console(file=stream, width=10_000, no_color=True, emoji=False, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines() if line.strip())


def _short(name: str) -> str:
    """The end of a name, without control characters, which a file name may have."""
    plain = "".join(c if c.isprintable() else "?" for c in name)
    return plain if len(plain) <= _NAME else f"…{plain[1 - _NAME :]}"


def _known(scored: Sequence[Scored]) -> list[str]:
    """The metrics that any image has, in the order of ``METRICS``."""
    return [metric for metric in METRICS if any(metric in each.scores for each in scored)]


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, _IN_FILES) if isinstance(value, float) else value for key, value in values.items()}


def _as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return _utf8(text.getvalue())


def _utf8(text: str) -> bytes:
    """Bytes that any reader decodes; a file name need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace")
