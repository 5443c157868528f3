"""Finds the photos that a user names, and gives each a name for its outputs. No file is opened."""

from __future__ import annotations

import glob
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import at_home
from zeroair_pl.photos.absent import why_missing
from zeroair_pl.photos.formats import searched
from zeroair_pl.photos.lists import from_uri, read_list
from zeroair_pl.photos.searching import Search, in_folder, in_glob
from zeroair_pl.photos.source import Source

_LISTS = (".txt", ".csv")
_EXPECTED = "Expected an image file, a folder, a glob or a .txt/.csv list"


def find_images(
    specs: str | Path | Sequence[str | Path], skip: Path | None = None, results: bool = False
) -> list[Source]:
    """The photos that ``specs`` name, in the order named, each file once.

    A spec is one of these:

    - a file with any suffix, since its content decides;
    - a folder: it is searched recursively for supported suffixes, without hidden files and loops of links;
    - a glob, also with ``**``: folders that it matches are searched, unless it has a ``**``;
    - a ``.txt`` or ``.csv`` list, see ``lists``.

    A file in a list, or with the suffix of a photo, need not exist: it fails when it is loaded.

    Searches leave out the folder ``skip`` (the output folder) and the files of earlier runs: their pictures, and their
    results unless ``results`` is true or their folder itself is named. Warnings count these files, and pictures and
    videos that cannot be read.

    Raises:
        ConfigError: a spec matches nothing, or a list cannot be read.
    """
    if isinstance(specs, str | Path):
        specs = [specs]
    if not specs:
        raise ConfigError(f"No images are named. {_EXPECTED}.")
    found: dict[str, Source] = {}
    search = Search(skip, results)
    for spec in specs:
        for item in _expand(str(spec), search):
            key = os.path.realpath(item.path)  # a later mention adds facts, and does not change the order
            found[key] = _joined(found[key], item) if key in found else item
    for sentence in search.said():
        warnings.warn(f"{sentence}.", stacklevel=2)
    items = list(found.values())
    names = names_of([(item.path, item.root) for item in items])
    return [replace(item, name=name) for item, name in zip(items, names, strict=True)]


def _joined(first: Source, again: Source) -> Source:
    """One photo from two mentions of it; the first one counts."""
    facts = {}
    for what in ("reference", "kind", "strength"):
        counts, other = getattr(first, what), getattr(again, what)
        if counts and other and counts != other:
            warnings.warn(f"{first.path} is listed twice, with the {what} {str(counts)!r}, which counts, and "
                          f"{str(other)!r}.", stacklevel=3)  # fmt: skip
        facts[what] = counts or other
    return replace(first, **facts, single=first.single and again.single)


def _expand(spec: str, search: Search) -> list[Source]:
    if not spec.strip():  # Path("") would be the working folder
        raise ConfigError(f"images: an entry is empty. {_EXPECTED}.")
    path = at_home(spec)
    if (meant := from_uri(spec)) and not os.path.lexists(path):
        path, spec = Path(meant), meant
    if os.path.isdir(path):
        return [Source(file, root=path) for file in in_folder(path, search)]
    if path.suffix.lower() in _LISTS and os.path.isfile(path):
        if not (listed := read_list(path)):
            raise ConfigError(f"{spec}: the list names no image.")
        return listed
    if not os.path.lexists(path) and glob.has_magic(spec):
        files, root = in_glob(path, search)
        return [Source(file, root=root) for file in files]
    # A photo that does not exist fails when it is opened; the others are restored.
    if os.path.lexists(path) or path.suffix.lower() in searched():
        return [Source(path, root=path.parent, single=True)]
    raise ConfigError(f"{spec} {why_missing(path)} {_EXPECTED}.")


def names_of(files: Sequence[tuple[Path, Path]]) -> list[str]:
    """Unique names for files, (path, root): the path below the root without suffix, longer if two would be equal."""
    paths = [Path(os.path.abspath(path)) for path, _ in files]
    depths = [len(p.parts) - len(Path(os.path.abspath(root)).parts) for p, (_, root) in zip(paths, files, strict=True)]
    siblings = Counter(str(path.with_name(path.stem)).casefold() for path in paths)
    # The names of a.png and a.jpg in one folder include their suffixes.
    ambiguous = [siblings[str(path.with_name(path.stem)).casefold()] > 1 for path in paths]
    ends = [f"{p.stem}_{p.suffix[1:]}" if a and p.suffix else p.stem for p, a in zip(paths, ambiguous, strict=True)]
    full = [[*path.parts[1:-1], end] for path, end in zip(paths, ends, strict=True)]
    whole = ["/".join(parts).casefold() for parts in full]
    while True:
        names = ["/".join(parts[-depth:]) for parts, depth in zip(full, depths, strict=True)]
        # Those that differ in the case of letters alone, as a.png and A.png of one folder, count as one.
        counts = Counter(name for name, _ in {(n.casefold(), w) for n, w in zip(names, whole, strict=True)})
        longer = [i for i, name in enumerate(names) if counts[name.casefold()] > 1 and depths[i] < len(full[i])]
        if not longer:
            break
        for i in longer:
            depths[i] += 1
    taken: set[str] = set()  # folders cannot tell apart a.png and A.png, nor a_png.png and a.png beside a.jpg
    return [numbered(name, taken) for name in names]


def numbered(name: str, taken: set[str]) -> str:
    """The name, with a number if it is ``taken`` (in any letter case); adds it to ``taken``."""
    own, number = name, 1
    while own.casefold() in taken:
        number += 1
        own = f"{name}-{number}"
    taken.add(own.casefold())
    return own
