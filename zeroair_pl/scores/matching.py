"""Which files show the same image: the degraded photo, its reference, and the results of several methods.

Files are matched by name: the path below their folder without suffix. If there is no such file, the last part of the
name, the stem, is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zeroair_pl import console
from zeroair_pl.errors import ConfigError, InputError, did_you_mean
from zeroair_pl.paths import at_home
from zeroair_pl.photos.absent import why_missing
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.source import Source

Specs = Sequence[str] | str

# Pictures for people in the output folder of `restore`; its table tells such a folder from others.
_BESIDE, _TABLE = ("strips/", "maps/", "report_files/"), "results.csv"


@dataclass(frozen=True)
class Case:
    """One image to score: its name, and the degraded photo and the reference if they are known."""

    name: str
    image: Path | None = None
    reference: Path | None = None


class Files:
    """The images that ``specs`` name (see ``find_images``), to look up by the name of an image of another set.

    Args:
        specs: files, folders, globs or lists.
        skip: a folder to leave out of searches.
        results: the images are results of runs.

    Raises:
        ConfigError: there is no image.
    """

    def __init__(self, specs: Specs, skip: Path | None = None, results: bool = False) -> None:
        self.title = specs if isinstance(specs, str) else ", ".join(specs)
        with console.telling_warnings():
            self.sources = find_images(specs, skip, results)
        if isinstance(specs, str) and (at_home(specs) / _TABLE).is_file():
            self.sources = [source for source in self.sources if not source.name.startswith(_BESIDE)]
        self._by_name = {source.name: source for source in self.sources}
        self._by_stem: dict[str, list[Source]] = {}
        for source in self.sources:
            self._by_stem.setdefault(_stem(source.name), []).append(source)

    def find(self, name: str) -> Source:
        """The file of that name, or the one of that stem.

        Raises:
            InputError: there is none, or several have that stem.
        """
        if name in self._by_name:
            return self._by_name[name]
        found = self._by_stem.get(_stem(name), [])
        if len(found) > 1:
            several = ", ".join(str(source.path) for source in found[:3])
            raise InputError(f"{name}: several files in {self.title} match: {several}.")
        if not found:
            near = did_you_mean(name, self._by_name) or did_you_mean(_stem(name), self._by_stem)
            raise InputError(f"{name}: there is no image of that name in {self.title}.{near}")
        return found[0]


def result_sets(specs: Specs, taken: Sequence[str]) -> dict[str, Files]:
    """The sets of results to compare, by title: the name of each folder or list, longer if that is taken.

    Raises:
        ConfigError: one is neither a folder nor a list, or holds no image.
    """
    found: dict[str, Files] = {}
    for spec in dict.fromkeys([specs] if isinstance(specs, str) else specs):
        path = at_home(spec)
        if not path.is_dir() and not (path.is_file() and path.suffix.lower() in (".csv", ".txt")):
            what = f": {path.name!r} is a file" if path.is_file() else f" {why_missing(path).rstrip('.')}"
            raise ConfigError(f"--results {spec}{what}; expected a folder or a .csv/.txt list of results.")
        parts = path.resolve().parts
        titles = ["/".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        title = next((title for title in titles if title not in (*taken, *found)), spec)
        found[title] = Files(spec, results=True)
    return found


def cases(images: Files | None, references: Files | None, results: Sequence[Files]) -> tuple[list[Case], list[str]]:
    """The images to score, and one line for each image without a reference.

    These are the ``images`` if given, else the references, else the results, whose lists may name references. A
    reference beside an image in a list is preferred to one that is found by name.

    Raises:
        ConfigError: references are given, and none belongs to an image.
    """
    if images is None and references is None:
        return _of_results(results), []
    if images is None:
        assert references is not None
        return [Case(source.name, None, source.reference or source.path) for source in references.sources], []
    found, missing = [], []
    for source in images.sources:
        reference = source.reference
        if reference is None and references is not None:
            try:
                counterpart = references.find(source.name)
            except InputError as error:
                missing.append(str(error))
                continue
            reference = counterpart.reference or counterpart.path
        found.append(Case(source.name, source.path, reference))
    if references is not None and not found:
        raise ConfigError(f"--references {references.title}: there is one for none of the images. {missing[0]}")
    return found, missing


def _of_results(results: Sequence[Files]) -> list[Case]:
    """An image that several sets have is one case, with the first reference that a list names."""
    found: dict[str, Case] = {}
    for i, files in enumerate(results):
        for source in files.sources:
            name = source.name
            for earlier in results[:i]:
                with suppress(InputError):
                    name = earlier.find(name).name
                    break
            if name not in found or found[name].reference is None:
                found[name] = Case(name, None, source.reference)
    return list(found.values())


def _stem(name: str) -> str:
    return name.rpartition("/")[2]
