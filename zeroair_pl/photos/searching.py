"""Searches folders for photos, without the results of earlier runs."""

from __future__ import annotations

import glob
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.absent import near, why_missing
from zeroair_pl.photos.formats import SUPPORTED, is_image, is_passed_by, left_out
from zeroair_pl.photos.ownership import written_by_runs

_PICTURES = ("strips/", "maps/", "report_files/")  # of photos, in an output folder


@dataclass
class Search:
    """What searches leave out, and what they have left out so far.

    Args:
        skip: a folder that is left out.
        results: whether results of earlier runs count as photos wherever they are.

    Attributes:
        others: pictures and videos of kinds that are not read.
        outputs: by output folder, the files of earlier runs.
        written: by folder, the names of what earlier runs wrote there.
    """

    skip: Path | None = None
    results: bool = False
    others: set[str] = field(default_factory=set)
    outputs: dict[Path, set[str]] = field(default_factory=lambda: defaultdict(set))
    written: dict[Path, frozenset[str]] = field(default_factory=dict)

    def said(self) -> Iterator[str]:
        """A sentence for each kind of files that were left out."""
        if self.others:
            yield left_out(self.others)
        if self.outputs:
            total, first = sum(map(len, self.outputs.values())), next(iter(self.outputs))
            files = f"{total} file{'s' if total > 1 else ''} of earlier runs {'are' if total > 1 else 'is'} left out"
            more = f" and {len(self.outputs) - 1} more" if len(self.outputs) > 1 else ""
            yield f"{files} (in {first}{more}); results are restored again where their folder itself is named"


def in_folder(folder: Path, search: Search) -> list[Path]:
    """The photos below ``folder``, sorted; raises ConfigError if there is none."""
    if not (files := list(_below(folder, folder, search))):
        raise ConfigError(f"{folder}: the folder holds no image ({_searched_for()}){_but(search)}.")
    return sorted(files)


def in_glob(pattern: Path, search: Search) -> tuple[list[Path], Path]:
    """The photos that ``pattern`` matches, sorted, and its folder without wildcards; raises ConfigError without any."""
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root, rest = Path(*parts[:fixed]), Path(*parts[fixed:], *(["*"] if parts[-1] == "**" else []))
    # Not the glob module: it follows links below a "**", which takes exponential time where two of them lead upwards.
    matched = sorted(root.glob(str(rest))) if os.path.isdir(root) else []
    matches = [path for path in matched if not any(part.startswith(".") for part in path.parts[len(root.parts) :])]
    files: list[Path] = []
    for match in matches:
        above = [folder for folder in (match, *match.parents) if root in folder.parents]
        if any(_left_out(folder, search.skip) for folder in above):
            continue
        if os.path.isdir(match):
            files += [] if "**" in parts else sorted(_below(match, root, search))
        elif _is_photo(match, root, search):
            files.append(match)
    if not files:
        if not os.path.isdir(root):
            raise ConfigError(f"{pattern} matches nothing: {str(root)!r} {why_missing(root)}")
        what = f"{len(matches)} path(s) but no image ({_searched_for()}){_but(search)}" if matches else "nothing"
        raise ConfigError(f"{pattern} matches {what}.{near(pattern.name, root)}")
    return files, root


def _below(folder: Path, root: Path, search: Search) -> Iterator[Path]:
    def report(error: OSError) -> None:
        warnings.warn(f"{error.filename}: the folder cannot be searched ({error.strerror}).", stacklevel=2)

    for parent, folders, names in os.walk(folder, onerror=report, followlinks=True):
        here = Path(parent)
        folders[:] = [f for f in folders if not f.startswith(".") and not _left_out(here / f, search.skip)]
        yield from (here / name for name in names if _is_photo(here / name, root, search))


def _is_photo(file: Path, root: Path, search: Search) -> bool:
    """Whether a search takes the file; a file that it leaves out is noted in ``search``.

    Of the results of earlier runs it takes those in ``root`` itself, the folder that was named, without their pictures.
    """
    if not is_image(file.name):
        if is_passed_by(file.name):
            search.others.add(str(file))
        return False
    for folder in file.parents:
        if root not in (folder, *folder.parents):
            break
        if folder not in search.written:
            search.written[folder] = written_by_runs(folder)
        name = file.relative_to(folder).as_posix()
        may_be = (search.results or folder == root) and not name.startswith(_PICTURES)
        if name in search.written[folder] and not may_be:
            search.outputs[folder].add(name)
            return False
    return True


def _searched_for() -> str:
    """The suffixes, for errors, without the many of raw files."""
    return ", ".join(sorted(SUPPORTED))


def _but(search: Search) -> str:
    return "".join(f"; {sentence}" for sentence in search.said())


def _left_out(path: Path, skip: Path | None) -> bool:
    """Whether ``path`` is the output folder, or a link to a folder above itself (a search would not end)."""
    real = os.path.realpath(path)
    if skip is not None and real == os.path.realpath(skip):
        return True
    return path.is_symlink() and any(os.path.realpath(above) == real for above in Path(os.path.abspath(path)).parents)
