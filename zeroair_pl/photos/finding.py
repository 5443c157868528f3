"""Finding the photos a user names, and giving each a name for its outputs to share. Reads no pixels."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import at_home
from zeroair_pl.photos.lists import Listed, from_uri, read_list
from zeroair_pl.photos.missing import why_missing
from zeroair_pl.photos.naming import names_of
from zeroair_pl.photos.searching import Search, in_folder, in_glob, searched

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
    listed: Listed
    single: bool = False


def find_images(
    specs: str | Path | Sequence[str | Path], skip: Path | None = None, results: bool = False
) -> list[Source]:
    """The photos that ``specs`` name, in the order named, each file once.

    A spec is a file (any suffix: its content decides), a folder (searched recursively and sorted, supported suffixes
    only, hidden files and symlink loops left out), a glob (``**`` too; supported suffixes only; a folder it matches is
    searched, unless the pattern has a ``**``), or a ``.txt`` / ``.csv`` list, see ``lists``. A file that is listed, or
    named with the suffix of a photo, need not exist: it is returned all the same, and fails when loaded.

    Searches of folders and globs leave out what lies in ``skip`` (the output folder, which may be inside a searched
    one), and what earlier runs wrote: their results, unless ``results`` or their folder itself is named, and the
    pictures beside them.

    The suffixes of an extra that is installed (see ``extras``) are searched for too. One warning counts the pictures
    and videos of other kinds that the searches passed by, and one the files of earlier runs.

    Raises ConfigError for a spec that matches nothing or a list that cannot be read.
    """
    if isinstance(specs, str | Path):
        specs = [specs]
    if not specs:
        raise ConfigError(f"No images are named. {_WHAT_IS_EXPECTED}.")
    found: dict[str, _Found] = {}
    search = Search(skip, results)
    for spec in specs:
        for item in _expand(str(spec), search):
            key = os.path.realpath(item.listed.path)
            first = found.setdefault(key, item)  # keeps its place: a list with further facts does not reorder a folder
            found[key] = _joined(first, item)
    for sentence in search.said():
        warnings.warn(sentence, stacklevel=2)
    items = list(found.values())
    names = names_of([(item.listed.path, item.listed.root) for item in items])
    return [
        Source(item.listed.path, name, item.listed.reference, item.listed.kind, item.listed.strength, item.single)
        for item, name in zip(items, names, strict=True)
    ]


def _joined(first: _Found, again: _Found) -> _Found:
    """A photo that is named twice: the first mention counts."""
    one, two = first.listed, again.listed
    for what in ("reference", "kind", "strength"):
        counts, other = getattr(one, what), getattr(two, what)
        if counts and other and counts != other:
            warnings.warn(f"{one.path} is listed twice, with the {what} {str(counts)!r}, which counts, and "
                          f"{str(other)!r}.", stacklevel=3)  # fmt: skip
    listed = replace(
        one,
        reference=one.reference or two.reference,
        kind=one.kind or two.kind,
        strength=one.strength or two.strength,
    )
    return _Found(listed, first.single and again.single)


def _expand(spec: str, search: Search) -> list[_Found]:
    if not spec.strip():  # Path("") is the working folder, which an empty setting did not mean
        raise ConfigError(f"images: an entry is empty. {_WHAT_IS_EXPECTED}.")
    path = at_home(spec)
    if (meant := from_uri(spec)) and not os.path.lexists(path):
        path, spec = Path(meant), meant
    if os.path.isdir(path):
        return [_Found(Listed(file, path)) for file in in_folder(path, search)]
    if path.suffix.lower() in _LISTS and os.path.isfile(path):
        if not (listed := read_list(path)):
            raise ConfigError(f"{spec}: the list names no image.")
        return [_Found(item) for item in listed]
    if os.path.lexists(path):
        return [_Found(Listed(path, path.parent), single=True)]
    if glob.has_magic(spec):
        files, root = in_glob(path, search)
        return [_Found(Listed(file, root)) for file in files]
    if path.suffix.lower() in searched():  # this photo fails when it is opened; the others are restored
        return [_Found(Listed(path, path.parent), single=True)]
    raise ConfigError(f"{spec} {why_missing(path)} {_WHAT_IS_EXPECTED}.")
