"""The page of an output folder, ``report.html``: what it says about each photo, and when it is written.

The small pictures are made when a photo is written, and its record names them. So any process can write the whole page
at any time.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroair_pl.errors import InputError
from zeroair_pl.inspection.pages import NAME, PICTURES, Column, address, page
from zeroair_pl.jobs.records import Row, in_words
from zeroair_pl.photos.ownership import OwnFiles, why, written_by_runs

if TYPE_CHECKING:
    from zeroair_pl.jobs.outputs import Outputs

_PAUSE = 5.0  # the least time between two writes of the page, in seconds
SHOWN = {".png", ".jpg", ".jpeg", ".jpe", ".webp", ".avif", ".bmp", ".gif"}  # files that browsers show
_SHARE = 20  # the time between two writes is also at least this many times the duration of a write

COLUMNS = (
    Column("reason", "why it failed", text=True),
    Column("found", "found", text=True),
    Column("note", "note", text=True),
    Column("name", sort="name", least=True),
    Column("kind", sort="kind", least=True),
    Column("status", sort="status", least=True),
    Column("amount", "corrected", sort="how much was corrected", scale=100, unit=" %"),
    Column("change", "change", sort="change", digits=1, scale=100, unit=" %", card="change {}"),
    Column("noise_level", "noise", sort="noise", digits=1, scale=255, unit="/255", card="noise {}"),
    Column("gain", "gain", sort="PSNR gained", digits=2, unit=" dB", card="gain {}"),
    Column("psnr", "PSNR", sort="PSNR", digits=2, unit=" dB"),
    Column("psnr_input", "PSNR before", digits=2, unit=" dB"),
    Column("ssim", "SSIM", sort="SSIM", digits=4),
    Column("ssim_input", "SSIM before", digits=4),
    Column("seconds", "time", sort="time", digits=1, unit=" s", card="{}"),
    Column("nfe", "passes of the prior"),
    Column("size", "size"),
    Column("input", "photo"),
    Column("output", "result"),
)
_ELSEWHERE = {"width", "height", "settings"}  # columns of the table that are shown in another form, or not at all


def entry(row: Row, shown: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entry of one photo on the page of ``folder``; see ``inspection.pages.page``."""
    found = {key: value for key, value in asdict(row).items() if key not in _ELSEWHERE}
    found["kind"] = in_words(row.kind)
    found["size"] = f"{row.width} × {row.height} px" if row.width and row.height else ""
    if row.psnr is not None and row.psnr_input is not None:
        found["gain"] = row.psnr - row.psnr_input
    if row.status == "failed":  # the result of an earlier run may still be there; the page does not show it
        return found
    found["links"] = [["Open the result", address(row.output)]] if row.output else []
    for role in ("pictures", "maps"):
        found[role] = [{"title": title, "src": address(name)} for title, name in shown.get(role, ())]
    found["full"] = _full(row, shown.get("photo", ""), folder)
    if shown.get("change") == 0:  # both pictures are the same
        found["pictures"] = found["pictures"][:1]
    return {**found, **{key: shown.get(key) for key in ("numbers", "ratio", "change")}}


def _full(row: Row, photo: str, folder: Path) -> list[str]:
    """The addresses of the photo and its result, to look at both at 100 %; empty if browsers do not show them."""
    if not all(Path(each).suffix.lower() in SHOWN for each in (photo, row.output)):
        return []
    try:
        beside = os.path.relpath(photo, os.path.realpath(folder))
    except ValueError:  # on another drive
        return []
    return [address(beside), address(row.output)]


def columns() -> list[Column]:
    """The columns of the page: ``COLUMNS``, and any other column of the table."""
    known = {column.key for column in COLUMNS} | _ELSEWHERE
    return [*COLUMNS, *(Column(key, key.replace("_", " ")) for key in Row.__dataclass_fields__ if key not in known)]


def summary(rows: Sequence[Row], left: int) -> str:
    """The line above the photos: how many there are, what became of them, and how many are ``left`` to be done."""
    counts = Counter("restored" if row.status == "skipped" else row.status for row in rows)
    seconds = sum(row.seconds or 0.0 for row in rows)
    parts = [f"{count:,} {status}" for status, count in counts.most_common()]
    parts += [f"{left:,} not done yet; load the page again to see more"] if left else []
    photos = f"{len(rows) + left:,} photo{'s' * (len(rows) + left != 1)}"
    return f"{photos}: {', '.join(parts)}. {_duration(seconds)} of work." if rows else photos


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


class Report:
    """The page of one output folder.

    Attributes:
        wanted: whether the page and its pictures are written: they are wanted, and no file of others is in the way.
        trouble: why it could not be written the last time, or ``""``.
    """

    def __init__(self, outputs: Outputs, wanted: bool = True) -> None:
        self._outputs = outputs
        self.trouble = in_the_way(outputs.folder) if wanted else ""
        self.wanted = wanted and not self.trouble
        self._next = time.monotonic() + _PAUSE  # so a short run writes it only at its end

    @property
    def path(self) -> Path | None:
        """Path of the page; ``None`` if it is not written."""
        return self._outputs.folder / NAME if self.wanted and not self.trouble else None

    def update(self, end: bool = False) -> None:
        """Writes the page if the last write was long enough ago, or at the ``end`` of the run.

        If it cannot be written, ``trouble`` says why, and the run goes on.
        """
        if not self.wanted or not (end or time.monotonic() >= self._next):
            return
        began, self.trouble = time.monotonic(), ""
        try:
            self._outputs.write_page(NAME, self._page)
        except InputError as error:
            self.trouble = str(error)
        now = time.monotonic()
        self._next = now + max(_PAUSE, _SHARE * (now - began))

    def _page(self, rows: Sequence[Row], shown: Mapping[str, Mapping[str, Any]]) -> bytes:
        names = {row.name for row in rows}
        left = sum(name not in names for name in self._outputs.names)
        heading = os.path.basename(os.path.abspath(self._outputs.folder))
        entries = [entry(row, shown.get(row.name, {}), self._outputs.folder) for row in rows]
        return page(heading, summary(rows, left), columns(), entries)


def in_the_way(folder: Path) -> str:
    """A sentence on what keeps the page and its pictures from being written: each is of no use without the other.

    Empty if this program made the page or its pictures before, or if nothing has their names.
    """
    own, pictures = OwnFiles(folder), folder / PICTURES
    if own.known(NAME):  # a page that somebody has edited since is kept under another name
        return ""
    if os.path.lexists(folder / NAME):
        return f"{folder / NAME}: {why(False)} It stays, and no page of the photos is written."
    theirs = os.path.lexists(pictures) if not pictures.is_dir() else any(pictures.iterdir())
    if theirs and not any(name.startswith(f"{PICTURES}/") for name in written_by_runs(folder)):
        return f"{pictures}: {why(False)} It stays, and no page of the photos is written."
    return ""
