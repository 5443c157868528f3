"""Converts rows to the bytes of ``results.csv``, and back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from zeroair_pl.jobs.records import COLUMNS, Row

_WHOLE = ("width", "height", "nfe")
_DIGITS = {"amount": 3, "noise_level": 5, "seconds": 2, "psnr_input": 3, "psnr": 3, "ssim_input": 4, "ssim": 4}
_NEEDED = ("name", "input", "output", "status")


def written(rows: Iterable[Row]) -> bytes:
    """The bytes of the table with these rows, in this order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(column, getattr(row, column)) for column in COLUMNS])
    # A file's name may hold bytes that are no UTF-8. Python keeps them as surrogates, the table as \\udcff.
    return text.getvalue().encode("utf-8", "backslashreplace")


def read(data: bytes) -> Iterator[Row]:
    """The rows of a table.

    Raises:
        ValueError, KeyError, TypeError, csv.Error: ``data`` is not a table of results.
    """
    text = re.sub(r"\\(udc[89a-f][0-9a-f])", lambda found: chr(int(found[1][1:], 16)), data.decode())
    return map(_row, csv.DictReader(io.StringIO(text, newline="")))


def _cell(column: str, value: Any) -> Any:
    return f"{value:.{_DIGITS[column]}f}" if isinstance(value, float) else value


def _row(cells: dict[str, str]) -> Row:
    values: dict[str, Any] = {f.name: cells[f.name] for f in fields(Row) if f.name in _NEEDED or f.name in cells}
    for key in (*_WHOLE, *_DIGITS):
        values[key] = (int if key in _WHOLE else float)(values[key]) if values.get(key) else None
    return Row(**values)
