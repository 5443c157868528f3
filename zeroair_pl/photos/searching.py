"""Searching folders for photos, by name and pattern. Results of earlier runs are no photos."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.extras import is_known, left_out, suffixes_of_installed
from zeroair_pl.photos.formats import SUPPORTED
from zeroair_pl.photos.missing import near, why_missing
from zeroair_pl.photos.ownership import written_by_runs

_PICTURES = ("strips/", "maps/", "report_files/")  # of a photo beside its result


@dataclass
class Search:
    """What is left out of searches, and what they have passed by.

    Args:
        skip: a folder that is left out.
        results: whether results of earlier runs count as photos wherever they are.

    Attributes:
        others: pictures and videos of kinds that are not read.
        outputs: by output folder, how many files of earlier runs were passed by.
        written: by folder, the names of what earlier runs wrote there.
    """

    skip: Path | None = None
    results: bool = False
    others: set[str] = field(default_factory=set)
    outputs: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, frozenset[str]] = field(default_factory=dict)

    def said(self) -> Iterator[str]:
        """A sentence for each kind of files that were passed by."""
        if self.others:
            yield f"{left_out(self.others)}."
        if self.outputs:
            yield f"{_earlier(self.outputs)}."


def in_folder(folder: Path, search: Search) -> list[Path]:
    """The photos below ``folder``, sorted.

    Raises:
        ConfigError: there is none.
    """
    found = Search(search.skip, search.results)
    files = list(_below(folder, folder, found))
    if not files:
        raise ConfigError(f"{folder}: the folder holds no image ({_searched_for()}){_but(found)}.")
    _join(search, found)
    return sorted(files)


def in_glob(pattern: Path, search: Search) -> tuple[list[Path], Path]:
    """The photos that ``pattern`` matches, sorted, and its folder without wildcards.

    Raises:
        ConfigError: there is none.
    """
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root, rest = Path(*parts[:fixed]), Path(*parts[fixed:], *(["*"] if parts[-1] == "**" else []))
    # Not the glob module: it follows links below a "**", which takes exponential time where two of them lead upwards.
    matched = sorted(root.glob(str(rest))) if os.path.isdir(root) else []
    matches = [path for path in matched if not any(part.startswith(".") for part in path.parts[len(root.parts) :])]
    files: list[Path] = []
    found = Search(search.skip, search.results)
    for match in matches:
        above = [folder for folder in (match, *match.parents) if root in (folder, *folder.parents)]
        if any(_left_out(folder, search.skip) for folder in above if folder != root):
            continue
        if os.path.isdir(match):
            files += [] if "**" in parts else sorted(_below(match, root, found))
        elif not _is_output(match, above[1:], root, found):
            _sort_in(match, files, found)
    if not files:
        if not os.path.isdir(root):
            raise ConfigError(f"{pattern} matches nothing: {str(root)!r} {why_missing(root)}")
        what = f"{len(matches)} path(s) but no image ({_searched_for()}){_but(found)}" if matches else "nothing"
        raise ConfigError(f"{pattern} matches {what}.{near(pattern.name, root)}")
    _join(search, found)
    return files, root


def is_image(name: str) -> bool:
    """Whether a search takes a file of that name."""
    return not name.startswith(".") and Path(name).suffix.lower() in searched()


@lru_cache(maxsize=1)
def searched() -> frozenset[str]:
    """The suffixes of what can be read here."""
    return SUPPORTED | suffixes_of_installed()


def _below(folder: Path, root: Path, search: Search) -> Iterator[Path]:
    def report(error: OSError) -> None:
        warnings.warn(f"{error.filename}: the folder cannot be searched ({error.strerror}).", stacklevel=2)

    for parent, folders, names in os.walk(folder, onerror=report, followlinks=True):
        here = Path(parent)
        folders[:] = [f for f in folders if not f.startswith(".") and not _left_out(here / f, search.skip)]
        above = [at for at in (here, *here.parents) if root in (at, *at.parents)]
        files: list[Path] = []
        for name in names:
            if not _is_output(here / name, above, root, search):
                _sort_in(here / name, files, search)
        yield from files


def _sort_in(file: Path, files: list[Path], search: Search) -> None:
    if is_image(file.name):
        files.append(file)
    elif not file.name.startswith(".") and is_known(file.name):
        search.others.add(str(file))


def _is_output(file: Path, above: list[Path], root: Path, search: Search) -> bool:
    """Whether an earlier run wrote the file into one of the folders ``above`` it, which is counted.

    The folder that was named itself may be such a folder: then its results are meant, and its other pictures are not.
    """
    if not is_image(file.name):
        return False
    for folder in above:
        if folder not in search.written:
            search.written[folder] = written_by_runs(folder)
        name, written = file.relative_to(folder).as_posix(), search.written[folder]
        if name in written and (name.startswith(_PICTURES) or not (search.results or folder == root)):
            search.outputs[folder] = search.outputs.get(folder, 0) + 1
            return True
    return False


def _join(search: Search, found: Search) -> None:
    search.others |= found.others
    for folder, count in found.outputs.items():
        search.outputs[folder] = max(count, search.outputs.get(folder, 0))


def _earlier(outputs: dict[Path, int]) -> str:
    total, first = sum(outputs.values()), next(iter(outputs))
    files = f"{total} file{'s' if total > 1 else ''} of earlier runs {'are' if total > 1 else 'is'} left out"
    more = f" and {len(outputs) - 1} more" if len(outputs) > 1 else ""
    return f"{files} (in {first}{more}); results are restored again where their folder itself is named"


def _searched_for() -> str:
    """In words, without the many suffixes of raw files."""
    return ", ".join(sorted(SUPPORTED))


def _but(search: Search) -> str:
    return "".join(f"; {sentence.rstrip('.')}" for sentence in search.said())


def _left_out(path: Path, skip: Path | None) -> bool:
    """Whether ``path`` is the output folder, or a link to a folder above itself (which would be searched for ever)."""
    real = os.path.realpath(path)
    if skip is not None and real == os.path.realpath(skip):
        return True
    return path.is_symlink() and any(os.path.realpath(above) == real for above in Path(os.path.abspath(path)).parents)
