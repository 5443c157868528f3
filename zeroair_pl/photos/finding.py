"""Finding the photos a user names, and giving each a name for its outputs to share. Reads no pixels."""

from __future__ import annotations

import csv
import glob
import os
import warnings
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.photos.extras import is_known, left_out, suffixes_of_installed

# The first suffix of a format is the one a file gets whose own suffix is none of them.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}
_READ_ONLY = (".avif",)  # written in another format, see ``heif``
SUPPORTED = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes) | {*_READ_ONLY}
_COLUMNS = ("image", "reference", "kind", "strength")  # of a csv list
_TABLE = {"name", "input", "output", "status"}  # of a results.csv, which is a list too
_COMPARED = 60  # names, in search of one that was meant
_LISTS = (".txt", ".csv")
_WHAT_IS_EXPECTED = "Expected an image file, a folder, a glob or a .txt/.csv list"


@dataclass(frozen=True)
class Source:
    """One photo to restore.

    ``name`` is a relative POSIX path without a suffix (``"trip/harbour"``), unique within one ``find_images`` call even
    where letter case does not count, and free of ``..``: outputs are ``<folder>/<name><anything>``. Append to it; never
    ``Path.with_suffix`` it, because a stem may hold dots. ``reference`` is the clean photo to score against, ``kind``
    and ``strength`` what a list says of this photo, as its cells have it. ``single`` if a spec is this very file.
    """

    path: Path
    name: str
    reference: Path | None = None
    kind: str = ""
    strength: str = ""
    single: bool = False


@dataclass(frozen=True)
class _Found:
    path: Path
    root: Path  # the folder that the name is relative to
    reference: Path | None = None
    kind: str = ""
    strength: str = ""
    single: bool = False


def find_images(specs: str | Path | Sequence[str | Path], skip: Path | None = None) -> list[Source]:
    """The photos that ``specs`` name, in the order named, each file once.

    A spec is a file (any suffix: its content decides), a folder (searched recursively and sorted, supported suffixes
    only, hidden files and symlink loops left out), a glob (``**`` too; supported suffixes only; a folder it matches is
    searched, unless the pattern has a ``**``), or a ``.txt`` / ``.csv`` list. In a txt each line is a path, blank
    lines and lines beginning with ``#`` aside; a csv has a header with ``image`` (or those of ``results.csv``) and
    optionally ``reference``, ``kind`` and ``strength``; a warning names columns that are not used. Listed paths are
    relative to the list's folder, then to the working folder. A file that is listed, or named with the suffix of a
    photo, need not exist: it is returned all the same, and fails when loaded.

    Folder and glob searches leave out what lies in ``skip`` (the output folder, which may be inside a searched one).

    The suffixes of an extra that is installed (see ``extras``) are searched for too. One warning counts the pictures
    and videos of other kinds that the searches passed by.

    Raises ConfigError for a spec that matches nothing or a list that cannot be read.
    """
    if isinstance(specs, str | Path):
        specs = [specs]
    if not specs:
        raise ConfigError(f"No images are named. {_WHAT_IS_EXPECTED}.")
    found: dict[str, _Found] = {}
    others: set[str] = set()
    for spec in specs:
        for item in _expand(str(spec), skip, others):
            key = os.path.realpath(item.path)
            first = found.setdefault(key, item)  # keeps its place, so a list that adds to a folder does not reorder it
            found[key] = replace(
                first,
                reference=first.reference or item.reference,
                kind=first.kind or item.kind,
                strength=first.strength or item.strength,
                single=first.single and item.single,
            )
    items = list(found.values())
    if others:
        warnings.warn(f"{left_out(others)}.", stacklevel=2)
    return [
        Source(item.path, name, item.reference, item.kind, item.strength, item.single)
        for item, name in zip(items, _names(items), strict=True)
    ]


def why_missing(path: Path) -> str:
    """Which part of ``path`` is missing, and the nearest name: ``"does not exist. Did you mean 'a.png'?"``."""
    missing = path
    while not os.path.lexists(missing.parent) and missing.parent != missing:
        missing = missing.parent
    if missing.is_symlink():
        return (
            f"is a link to {os.readlink(missing)!r}, which does not exist."
            if missing == path
            else f"does not exist, because {str(missing)!r} is a link to nothing."
        )
    near = _near(missing.name, missing.parent)
    what = "does not exist" if missing == path else f"does not exist, because there is no {str(missing)!r}"
    return f"{what}.{near}"


def _near(name: str, folder: Path) -> str:
    try:
        names = _names_in(folder, os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):
        return ""
    if len(names) > _COMPARED:  # a list may miss 100,000 files, and to compare each with all others takes an hour
        middle = bisect_left(names, name)
        names = names[max(0, middle - _COMPARED // 2) : middle + _COMPARED // 2]
    return did_you_mean(name, names)


@lru_cache(maxsize=4)
def _names_in(folder: Path, changed: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in islice(entries, 100_000))


def _expand(spec: str, skip: Path | None, others: set[str]) -> list[_Found]:
    path = Path(spec).expanduser()
    if not spec.strip():  # Path("") is the working folder, which an empty setting did not mean
        raise ConfigError(f"images: an entry is empty. {_WHAT_IS_EXPECTED}.")
    if os.path.isdir(path):
        passed: set[str] = set()
        items = [_Found(file, path) for file in _in_folder(path, skip, passed)]
        if not items:
            raise ConfigError(f"{spec}: the folder holds no image ({_searched_for()}){_but(passed)}.")
        others |= passed
    elif path.suffix.lower() in _LISTS and os.path.isfile(path):
        items = _in_list(path)
        if not items:
            raise ConfigError(f"{spec}: the list names no image.")
    elif os.path.lexists(path):
        items = [_Found(path, path.parent, single=True)]
    elif glob.has_magic(spec):
        items = _in_glob(path, skip, others)
    elif path.suffix.lower() in _searched():  # it costs itself when it is opened, and nothing else
        items = [_Found(path, path.parent, single=True)]
    else:
        raise ConfigError(f"{spec} {why_missing(path)} {_WHAT_IS_EXPECTED}.")
    return items


def _in_folder(folder: Path, skip: Path | None, others: set[str]) -> list[Path]:
    files: list[Path] = []

    def report(error: OSError) -> None:
        warnings.warn(f"{error.filename}: the folder cannot be searched ({error.strerror}).", stacklevel=2)

    for parent, folders, names in os.walk(folder, onerror=report, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".") and not _left_out(Path(parent, f), skip)]
        files += [Path(parent, name) for name in names if _is_image(name)]
        others.update(os.path.join(parent, name) for name in names if _is_other(name))
    return sorted(files)


def _in_glob(pattern: Path, skip: Path | None, others: set[str]) -> list[_Found]:
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root, rest = Path(*parts[:fixed]), Path(*parts[fixed:], *(["*"] if parts[-1] == "**" else []))
    # Not the glob module: it follows links below a "**", which takes exponential time where two of them lead upwards.
    found = sorted(root.glob(str(rest))) if os.path.isdir(root) else []
    matches = [path for path in found if not any(part.startswith(".") for part in path.parts[len(root.parts) :])]
    files: list[Path] = []
    passed: set[str] = set()
    for match in matches:
        if any(_left_out(folder, skip) for folder in (match, *match.parents) if root in folder.parents):
            continue
        if os.path.isdir(match):
            files += [] if "**" in parts else _in_folder(match, skip, passed)
        elif _is_image(match.name):
            files.append(match)
        elif _is_other(match.name):
            passed.add(str(match))
    if not files:
        if not os.path.isdir(root):
            raise ConfigError(f"{pattern} matches nothing: {str(root)!r} {why_missing(root)}")
        matched = f"{len(matches)} path(s) but no image ({_searched_for()}){_but(passed)}" if matches else "nothing"
        raise ConfigError(f"{pattern} matches {matched}.{_near(pattern.name, root)}")
    others |= passed
    return [_Found(file, root) for file in files]


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in _searched()


def _is_other(name: str) -> bool:
    return not name.startswith(".") and not _is_image(name) and is_known(name)


@lru_cache(maxsize=1)
def _searched() -> frozenset[str]:
    return SUPPORTED | suffixes_of_installed()


def _searched_for() -> str:
    """In words, without the many suffixes of raw files."""
    return ", ".join(sorted(SUPPORTED))


def _but(others: set[str]) -> str:
    return f"; {left_out(others)}" if others else ""


def _left_out(path: Path, skip: Path | None) -> bool:
    """Whether ``path`` is the output folder, or a link to a folder above itself (which would be searched for ever)."""
    real = os.path.realpath(path)
    if skip is not None and real == os.path.realpath(skip):
        return True
    return path.is_symlink() and any(os.path.realpath(above) == real for above in Path(os.path.abspath(path)).parents)


def _in_list(path: Path) -> list[_Found]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheet programs write a byte-order mark
        rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else [{"image": x} for x in _txt_lines(text)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: the list cannot be read ({error}).") from error
    items = []
    for row in rows:
        file = _listed(path, row["image"])
        root = path.parent if path.parent in file.parents and ".." not in file.parts else file.parent
        reference = _listed(path, row["reference"]) if row.get("reference") else None
        items.append(_Found(file, root, reference, row.get("kind", ""), row.get("strength", "")))
    return items


def _txt_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _csv_rows(path: Path, text: str) -> list[dict[str, str]]:
    first, *_ = text.splitlines() or [""]
    delimiter = ";" if ";" in first and "," not in first else ","  # spreadsheets of many locales write semicolons
    header, *rows = list(csv.reader(text.splitlines(), delimiter=delimiter)) or [[]]
    columns = [column.strip().lower() for column in header]
    if set(columns) >= _TABLE:
        columns = ["image" if column == "input" else column for column in columns]
    elif unused := [column for column in columns if column and column not in _COLUMNS]:
        near = did_you_mean(unused[0], _COLUMNS)
        warnings.warn(f"{path}: not used: the column {', '.join(map(repr, unused))}.{near}", stacklevel=2)
    if "image" not in columns:
        raise ConfigError(
            f"{path}: the header needs a column 'image' (and may have {', '.join(map(repr, _COLUMNS[1:]))}), "
            f"but is {first!r}."
        )
    found = []
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        if cells.get("image"):
            found.append(cells)
        elif any(cells.values()):
            raise ConfigError(f"{path}: row {number} names no image, but is {delimiter.join(row)!r}.")
    return found


def _listed(list_file: Path, entry: str) -> Path:
    path = Path(entry).expanduser()
    beside = list_file.parent / path  # an absolute path stays as it is
    return path if not os.path.lexists(beside) and os.path.lexists(path) else beside


def _names(items: Sequence[_Found]) -> list[str]:
    """Unique names: the path below the root without suffix, made longer only where two would be the same."""
    paths = [Path(os.path.abspath(item.path)) for item in items]
    depths = [len(p.parts) - len(Path(os.path.abspath(item.root)).parts) for p, item in zip(paths, items, strict=True)]
    siblings = Counter(str(path.with_name(path.stem)).casefold() for path in paths)
    # a.png beside a.jpg: no folder tells them apart, so their suffixes become part of the name.
    ambiguous = [siblings[str(path.with_name(path.stem)).casefold()] > 1 for path in paths]
    ends = [f"{p.stem}_{p.suffix[1:]}" if a and p.suffix else p.stem for p, a in zip(paths, ambiguous, strict=True)]
    full = [[*path.parts[1:-1], end] for path, end in zip(paths, ends, strict=True)]
    while True:
        names = ["/".join(parts[-depth:]) for parts, depth in zip(full, depths, strict=True)]
        counts = Counter(name.casefold() for name in names)
        longer = [i for i, name in enumerate(names) if counts[name.casefold()] > 1 and depths[i] < len(full[i])]
        if not longer:
            break
        for i in longer:
            depths[i] += 1
    taken: set[str] = set()
    for i, name in enumerate(names):  # folders cannot tell apart a.png and A.png, nor a_png.png and a.png beside a.jpg
        number = 1
        while names[i].casefold() in taken:
            number += 1
            names[i] = f"{name}-{number}"
        taken.add(names[i].casefold())
    return names
