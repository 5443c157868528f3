"""Lists of photos from editors, spreadsheets and shells: ``.txt`` with one path in a line, and ``.csv``."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes
from urllib.request import url2pathname

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.paths import at_home
from zeroair_pl.photos.ownership import FOLDER
from zeroair_pl.photos.source import Source

_COLUMNS = ("image", "reference", "kind", "strength")
_TABLE = {"name", "input", "output", "status"}  # of a results.csv, which is a list too
_DELIMITERS = (",", ";", "\t")  # spreadsheets write semicolons in many countries
_QUOTES = ('"', "'", "\u201c\u201d", "\u2018\u2019")
_MARKS = {  # the mark of UTF-16 is the beginning of the one of UTF-32
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_list(path: Path) -> list[Source]:
    """The photos that a list names, which need not exist.

    A txt has one path in a line, and comments that begin with ``#``. A csv has a header with ``image`` (or those of
    ``results.csv``) and optionally ``reference``, ``kind`` and ``strength``; a warning names columns that are not used.
    Paths are relative to the list's folder, then to the working folder; see ``_readings`` for how they may be written.

    Raises:
        ConfigError: the list cannot be read, or is no such list.
    """
    try:
        text = _decoded(path.read_bytes())
        if "\0" in text:
            raise ValueError("it is no text")
        rows = list(_csv_rows(path, text) if path.suffix.lower() == ".csv" else _txt_rows(path, text))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: the list cannot be read ({error}).") from error
    items = []
    for row in rows:
        file = _meant(path, row["image"])
        if row.get("output") == row["image"] and os.path.lexists(row["image"]):  # a table of results: not the result
            file = Path(row["image"])
        if not os.path.lexists(file) and row.get("output"):  # a table of results, from another working folder
            file = _recorded(path.parent, row.get("name", "")) or file
        root = path.parent if path.parent in file.parents and ".." not in file.parts else file.parent
        reference = _meant(path, row["reference"]) if row.get("reference", "").strip() else None
        kind, strength = (row.get(name, "").strip() for name in ("kind", "strength"))
        items.append(Source(file, "", reference, kind, strength, root=root))
    return items


def _recorded(folder: Path, name: str) -> Path | None:
    """The photo called ``name`` by the records of the output folder; ``None`` if these do not know it."""
    try:
        photo = Path(json.loads((folder / FOLDER / f"{name}.json").read_text())["photo"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return photo if photo.is_file() else None


def from_uri(text: str) -> str:
    """The path that a ``file:`` URI names; ``""`` for any other text, and for files on other machines."""
    # By the standard, "?" and "#" in a path must be escaped, but people write such URIs by hand.
    found = re.fullmatch(r"file:(?://(?:localhost)?)?(/(?!/).*)", text, re.IGNORECASE | re.DOTALL)
    if found is None:
        return ""
    if os.name == "nt":
        return url2pathname(found[1])
    return os.fsdecode(unquote_to_bytes(found[1].encode("utf-8", "surrogateescape")))


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, "surrogateescape" if encoding == "utf-8-sig" else "strict")
    if len(data) % 2 == 0 and (zeros := (data[0::2].count(0), data[1::2].count(0))) != (0, 0) and 0 in zeros:
        return data.decode("utf-16-le" if zeros[1] else "utf-16-be")
    return data.decode("utf-8", "surrogateescape")


def _txt_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    for line in re.split(r"\r\n|\n|\r", text):
        if not line.strip():
            continue
        if not line.strip().startswith("#") or _there(path, line) or _there(path, line.strip()):
            yield {"image": line}


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    text, delimiter = _delimiter(text)
    header, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) or [[]]
    columns = [column.strip().lower() for column in header]
    if set(columns) >= _TABLE:
        columns = ["image" if column == "input" else column for column in columns]
    elif unused := [column for column in columns if column and column not in _COLUMNS]:
        near = did_you_mean(unused[0], _COLUMNS)
        warnings.warn(f"{path}: not used: the column {', '.join(map(repr, unused))}.{near}", stacklevel=2)
    if "image" not in columns:
        raise ConfigError(
            f"{path}: the header needs a column 'image' (and may have {', '.join(map(repr, _COLUMNS[1:]))}), "
            f"but is {delimiter.join(header)!r}."
        )
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(columns, _fitted(path, row, columns, delimiter, number), strict=False))
        if cells.get("image", "").strip():
            yield cells
        elif any(cell.strip() for cell in cells.values()):
            raise ConfigError(f"{path}: row {number} names no image: it is {delimiter.join(row)!r}.")


def _delimiter(text: str) -> tuple[str, str]:
    """The table without Excel's first line ``sep=;``, and the delimiter of its cells."""
    first, _, rest = text.partition("\n")
    if stated := re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE):
        return rest, stated[1]
    return text, max(_DELIMITERS, key=first.count)  # the first one if the line has none


def _fitted(path: Path, row: list[str], columns: list[str], delimiter: str, number: int) -> list[str]:
    """The row with one cell for each column: joins the parts of a name with a delimiter that was not quoted."""
    while len(row) > len(columns) and not row[-1].strip():
        row = row[:-1]
    more, at = len(row) - len(columns), columns.index("image")
    if more <= 0:
        return row
    name = delimiter.join(row[at : at + more + 1])
    if len(columns) == 1 or _there(path, name.strip()):
        return [*row[:at], name, *row[at + more + 1 :]]
    raise ConfigError(f"{path}: row {number} has {len(row)} cells, and the header {len(columns)}; a name with "
                      f"{delimiter!r} in it needs quotes: {delimiter.join(row)!r}.")  # fmt: skip


def _meant(list_file: Path, entry: str) -> Path:
    """The file that an entry names: the first of its readings that exists, else the last one."""
    readings = list(_readings(entry))
    for reading in readings:
        if found := _there(list_file, reading):
            return found
    return list_file.parent / at_home(readings[-1])  # an absolute path stays as it is


def _readings(entry: str) -> Iterator[str]:
    """The ways to read an entry: as it is; without blanks around it; without quotes (Windows' "Copy as path"); as a
    ``file:`` URI; with blanks escaped for a shell; with backslashes of Windows. If it is not UTF-8, also in code page
    1252."""
    plain = entry.strip()
    yield from _each_encoding(entry)
    yield from _each_encoding(plain)
    for quotes in _QUOTES:
        if len(plain) > 2 and plain[0] == quotes[0] and plain[-1] == quotes[-1]:
            plain = plain[1:-1]
            break
    if meant := from_uri(plain):
        plain = meant
    yield from _each_encoding(plain)
    if os.sep == "/" and "\\" in plain:
        yield from _each_encoding(re.sub(r"\\(.)", r"\1", plain))
        yield from _each_encoding(plain if re.match(r"[A-Za-z]:|\\\\", plain) else plain.replace("\\", "/"))


def _each_encoding(text: str) -> Iterator[str]:
    yield text
    if re.search("[\udc80-\udcff]", text):
        raw = text.encode("utf-8", "surrogateescape")
        yield "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in raw)


def _there(list_file: Path, entry: str) -> Path | None:
    """The file of that name beside the list, or in the working folder."""
    for candidate in (list_file.parent / entry, Path(entry), at_home(entry)):
        try:
            if os.path.lexists(candidate):
                return candidate
        except (OSError, ValueError):
            return None
    return None
