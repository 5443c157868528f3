"""The page of ``evaluate``: for each image the degraded photo, the result of each system, and the reference."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from zeroair_pl.errors import InputError, describe
from zeroair_pl.inspection.pages import NAME, PICTURES, Column, address, page
from zeroair_pl.inspection.pictures import encoded, thumbnail
from zeroair_pl.jobs.names import side_picture
from zeroair_pl.jobs.report import in_the_way
from zeroair_pl.photos.ownership import OwnFiles
from zeroair_pl.scores.scoring import DEGRADED, METRICS, Scored, over_seeds, summarize, worst

REFERENCE = "reference"
_SHOWN = ["psnr", "ssim", "lpips"]  # scores below a picture; without a reference, all scores that there are


class Gallery:
    """Collects small pictures while images are scored, and writes the page at the end.

    An error in making the page does not stop the scoring; ``trouble`` keeps the first one.
    """

    def __init__(self, out: Path, wanted: bool = True) -> None:
        self._out, self._own = out, OwnFiles(out)
        self._numbers: dict[str, int] = {}  # for file names, since the titles of systems may hold any character
        self._pictures: dict[str, list[dict[str, Any]]] = {}
        self._links: dict[str, list[tuple[str, str]]] = {}
        self.trouble = in_the_way(out) if wanted else ""
        self._wanted = wanted and not self.trouble

    @property
    def path(self) -> Path | None:
        """Path of the page; ``None`` if it is not wanted, or a foreign file is in its place."""
        if self._wanted and not self._own.ours(NAME):
            self.trouble = self.trouble or f"{self._out / NAME}: was not written by this program, or changed. It stays."
            return None
        return self._out / NAME if self._wanted else None

    def add(self, name: str, title: str, pixels: Tensor | None, file: Path | None, seed: int | None = None) -> None:
        """Adds a version of the image called ``name``; nothing without ``pixels`` (3, H, W) in [0, 1] or ``file``.

        Args:
            title: the set of results it belongs to, or ``degraded`` or ``reference``.
            seed: of the restoration, if it was made by this command.
        """
        if not self._wanted or pixels is None or file is None:
            return
        full = title if seed is None else f"{title}, seed {seed}"
        try:
            small = thumbnail(pixels)
            number = self._numbers.setdefault(full, len(self._numbers))
            path = side_picture(PICTURES, name, f".{number}.webp")
            self._own.write(path, encoded(small))
            link = (f"Open {full}", address(os.path.relpath(file, self._out)))
        except InputError as error:
            self.trouble = self.trouble or str(error)
        except Exception as error:
            self.trouble = self.trouble or f"{file}: no picture of it for {NAME}, {describe(error)}"
        else:
            picture = {"title": full, "src": address(path), "ratio": round(small.width / small.height, 4)}
            self._pictures.setdefault(name, []).append({**picture, "result": title, "seed": seed})
            self._links.setdefault(name, []).append(link)

    def write(self, scored: Sequence[Scored], errors: Sequence[str]) -> None:
        """Writes the page, with the images of the worst scores first, and ``errors`` of what could not be scored."""
        if self.path is None:
            return
        systems = list(dict.fromkeys(each.result for each in scored))
        rival = next((each for each in systems if each != DEGRADED), DEGRADED)
        ranked = [name for name, _, _ in worst(scored, rival, len(scored))]
        names = list(dict.fromkeys([*ranked, *(each.name for each in scored)]))
        columns = [
            Column(f"{metric} {result}", sort=f"{each.title}, {result}", least=each.better != "lower")  # worst first
            for metric, each in METRICS.items()
            for result in systems
        ]
        entries = {name: self._entry(name) for name in names}
        for column in columns:
            metric, _, result = column.key.partition(" ")
            for name, values in over_seeds(scored, result, metric).items():
                entries[name][column.key] = round(statistics.fmean(values), 5)
        self._say(scored, entries)
        images = f"{len(names)} image{'s' * (len(names) != 1)}"
        data = page(
            self._out.resolve().name,
            f"{images}, {len(systems)} system{'s' * (len(systems) != 1)}: mean ± standard deviation over the images.",
            [Column("name", sort="name", least=True), *columns],
            list(entries.values()),
            order=f"worst first ({rival})" if ranked else "list",
            layout="wide",
            systems=_table(scored),
            trouble=errors,
        )
        try:
            self._own.write(NAME, data)
        except InputError as error:
            self.trouble = self.trouble or str(error)

    def _entry(self, name: str) -> dict[str, Any]:
        last = sorted(self._pictures.get(name, []), key=lambda each: each["title"] == REFERENCE)
        ratio = max((each["ratio"] for each in last), default=None)
        return {"name": name, "ratio": ratio, "pictures": last, "links": self._links.get(name, [])}

    def _say(self, scored: Sequence[Scored], entries: Mapping[str, dict[str, Any]]) -> None:
        """Puts the scores of each picture below it."""
        scores = {(each.name, each.result, each.seed): each.scores for each in scored}
        for name, entry in entries.items():
            for picture in entry["pictures"]:
                found = scores.get((name, picture.pop("result"), picture.pop("seed")), {})
                shown = [metric for metric in _SHOWN if metric in found] or [*found]
                picture["text"] = " · ".join(
                    f"{METRICS[metric].title} {found[metric]:.{METRICS[metric].digits}f}" for metric in shown
                )


def _table(scored: Sequence[Scored]) -> dict[str, Any]:
    """The table of mean scores of all systems, with the best ones marked; see ``pages.page``."""
    summaries = summarize(scored)
    metrics = [metric for metric in METRICS if any(metric in found for found in summaries.values())]
    rows: list[list[str]] = []
    best: list[list[str]] = [[] for _ in range(2 + len(metrics))]
    for result, found in summaries.items():
        cells = [result, str(found["noise"].images)]
        for metric in metrics:
            digits, each = METRICS[metric].digits, found.get(metric)
            spread = "" if each is None or each.spread is None else f" ± {each.spread:.{digits}f}"
            cells.append("" if each is None else f"{each.mean:.{digits}f}{spread}")
        rows.append(cells)
    for i, metric in enumerate(metrics, 2):
        means = {result: found[metric].mean for result, found in summaries.items() if metric in found}
        if METRICS[metric].better and len(means) > 1:
            top = (max if METRICS[metric].better == "higher" else min)(means.values())
            best[i] = [result for result, mean in means.items() if mean == top]
    return {"head": ["result", "images", *(METRICS[metric].title for metric in metrics)], "rows": rows, "best": best}
