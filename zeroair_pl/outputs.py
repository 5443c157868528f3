"""The output folder of a run: which file goes where, the table of results, and what is finished already."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.images import Source
from zeroair_pl.saving import clear_leftovers, write_atomically
from zeroair_pl.sidecars import COLUMNS, FOLDER, INTERRUPTED, Record, Row, Sidecars

_WHOLE = ("width", "height", "forwards")
_DIGITS = {"noise_level": 5, "seconds": 2, "psnr_input": 3, "psnr": 3, "ssim_input": 4, "ssim": 4}
_NEEDED = ("name", "input", "output", "status")
_BESIDE = 1_000_000  # bytes that a photo's pictures and log may take, beside its output

# The table is written as a whole. To do so after each photo is dear for long lists, and nobody reads that fast; what is
# finished is in the sidecars at any moment.
_SHORT = 100  # rows
_PAUSE = 60.0  # seconds between two tables that are longer


class Outputs:
    """Paths, records and table of one output folder, which is made if it does not exist.

    Args:
        folder: the output folder.
        names: of the photos of this run, in the order of their list, which is the table's.

    Attributes:
        rows: of this run so far, by name.
        current: the table has all that is known.
        trouble: why the table could not be written the last time, or ``""``.

    Raises:
        ConfigError: the folder cannot be made or written, or holds a ``results.csv`` that is none.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        self.folder, self.results, self.board = folder, folder / "results.csv", folder / "tensorboard"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ConfigError(f"--out {folder}: cannot be written ({error.strerror or error}).") from error
        self.sidecars = Sidecars(folder)
        self.names = list(names)
        self._clear_leftovers()
        # Sidecars say what is true; of a folder from before there were any, and of failures, only the table tells.
        self.earlier = {**self._read(), **{record.row.name: record.row for record in self.sidecars}}
        self.rows: dict[str, Row] = {}
        self.trouble = ""
        self.current = False
        self._written = -_PAUSE

    def strip(self, source: Source) -> Path:
        """The picture of the photo before and after."""
        return self.folder / "strips" / f"{source.name}.png"

    def map(self, source: Source, name: str) -> Path:
        """The picture of one map of its degradation."""
        return self.folder / "maps" / f"{source.name}_{name}.png"

    def finished(self, source: Source, settings: str) -> Record | None:
        """The record of a run that restored this photo with all that ``settings`` is a digest of, if its output is
        there."""
        record = self.sidecars.read(source.name)
        if record is None or record.row.status != "restored" or record.row.settings != settings:
            return None
        return record if (self.folder / record.row.output).is_file() else None

    def belongs_to_another(self, output: Path, source: Source, sha256: str) -> bool:
        """Whether the file in the output's place, if any, is no restoration of this photo, wherever it lies now."""
        if not os.path.lexists(output):
            return False
        here = os.path.realpath(source.path)
        if (record := self.sidecars.read(source.name)) is not None:
            row, ours = record.row, record.photo == here or record.depends.get("sha256") == sha256
        elif (known := self.earlier.get(source.name)) is not None:
            row, ours = known, os.path.realpath(known.input) == here
        else:
            return True
        return not ours or self.folder / row.output != output

    def require_room(self, source: Source) -> None:
        """Refuses a photo that the disk has no room for, before the time of a fit is spent on it.

        Raises:
            InputError: less is left than about what its files will take.
        """
        needed, free = 2 * source.path.stat().st_size + _BESIDE, shutil.disk_usage(self.folder).free
        if free < needed:
            left, wanted = (f"{size / 1e6:.1f} MB" for size in (free, needed))
            raise InputError(f"{source.path}: not begun, since {self.folder} has {left} left and it may take {wanted}.")

    def claim(self, record: Record) -> None:
        """Says that the output of this photo is about to be replaced, which ends what an earlier record says of it.

        Raises:
            InputError: that cannot be written.
        """
        claimed = replace(record, row=replace(record.row, status="failed", reason=INTERRUPTED))
        self.sidecars.write(claimed)
        self.earlier[claimed.row.name] = claimed.row

    def add(self, row: Row) -> None:
        """Adds a row of this run, and writes the table if it is short or was not written for a while."""
        self.rows[row.name], self.current = row, False
        if len(self.rows) + len(self.earlier) <= _SHORT or time.monotonic() - self._written >= _PAUSE:
            self.write_table()

    def write_table(self) -> None:
        """Writes the table in one step: the photos of this run in the order of their list, then all others.

        A photo that this run has not come to yet has the row that it had.
        """
        everything = {**self.earlier, **self.rows}
        first = [name for name in self.names if name in self.rows]
        listed = set(first)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in (*first, *(name for name in everything if name not in listed)):
            writer.writerow([_cell(column, getattr(everything[name], column)) for column in COLUMNS])
        try:
            # A file's name may hold bytes that are no UTF-8. Python keeps them as surrogates, the table as \udcff.
            write_atomically(self.results, text.getvalue().encode("utf-8", "backslashreplace"))
            self.current, self.trouble = True, ""
        except InputError as error:  # a full disk costs what cannot be written, not what can still be done
            self.trouble = str(error)
        self._written = time.monotonic()

    def _read(self) -> dict[str, Row]:
        if not self.results.exists():
            return {}
        try:
            with self.results.open(newline="", encoding="utf-8") as file:
                text = re.sub(r"\\(udc[89a-f][0-9a-f])", lambda found: chr(int(found[1][1:], 16)), file.read())
            return {cells["name"]: _row(cells) for cells in csv.DictReader(io.StringIO(text, newline=""))}
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise ConfigError(
                f"{self.results}: not a table of results ({type(error).__name__}: {error}); move it away or name "
                "another folder with --out."
            ) from error

    def _clear_leftovers(self) -> None:
        """Where this run may write: a folder such as ``--out .`` is not searched as a whole."""
        parents = {name.rpartition("/")[0] for name in self.names}
        for root in ("", "strips", "maps", FOLDER):
            for parent in parents | {""}:
                clear_leftovers(self.folder / root / parent)


def _cell(column: str, value: Any) -> Any:
    return f"{value:.{_DIGITS[column]}f}" if isinstance(value, float) else value


def _row(cells: dict[str, str]) -> Row:
    values: dict[str, Any] = {f.name: cells[f.name] for f in fields(Row) if f.name in _NEEDED or f.name in cells}
    for key in (*_WHOLE, *_DIGITS):
        values[key] = (int if key in _WHOLE else float)(values[key]) if values.get(key) else None
    return Row(**values)
