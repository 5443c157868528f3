"""The sets of photos for measuring quality, and the preset for each kind of degradation.

A folder of sets has SET/degraded, SET/clean and optionally SET/published; the photos of a pair share their stem. A set
without clean/ cannot be scored, and is only restored for visual inspection. The beginning of a set's name states the
kind of degradation. The example photos of the repository are always measured too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.photos.formats import SUPPORTED

EXAMPLES = Path(__file__).parents[1] / "examples"
CLEAN_OF = (
    "noise-kodak256",
    "haze-hsts",
)  # sets whose clean photos are also an input: a restoration must not harm them
CLEAN = "clean-"  # prefix of the names of the sets of clean photos


class Preset(NamedTuple):
    """The configs and settings for one kind of degradation."""

    configs: tuple[str, ...]
    settings: dict[str, Any] = {}  # noqa: RUF012 - never changed


PRESETS = {
    "haze": Preset(("dehaze",)),
    "lowlight": Preset(("low_light",)),
    "noise": Preset(("denoise",)),
    "underwater": Preset(("underwater",)),
    "rain": Preset(("derain",)),
}


@dataclass(frozen=True)
class PhotoSet:
    """A set of photos, by stem.

    Attributes:
        degraded: the input photos; for a clean set, its clean photos.
        clean: the clean photos; may be empty.
        published: results of others.
    """

    name: str
    degraded: dict[str, Path]
    clean: dict[str, Path] = field(default_factory=dict)
    published: dict[str, Path] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """A key of ``PRESETS``, or ``"other"``."""
        name = self.name.removeprefix(CLEAN)
        return next((kind for kind in PRESETS if name.startswith(kind)), "other")

    @property
    def harmless(self) -> bool:
        """Whether the input photos are clean, so that a restoration must not change them."""
        return self.name.startswith(CLEAN)


def find(folder: Path | None, only: Sequence[str] = (), limit: int | None = None) -> list[PhotoSet]:
    """The sets in ``folder``, clean sets made from them, and the sets of the examples.

    Args:
        folder: a folder of sets, or ``None``.
        only: names of sets; all if empty.
        limit: number of photos of each set that are used, from the first.

    Raises:
        ConfigError: there is no such folder or set.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--sets {folder}: no folder; expected one with SET/degraded and SET/clean.")
    found = [_read(path) for path in sorted(folder.iterdir())] if folder is not None else []
    sets = [each for each in found if each is not None]
    if folder is not None and not sets:
        raise ConfigError(f"--sets {folder}: there is no SET/degraded in it.")
    sets += [PhotoSet(CLEAN + s.name, s.clean, s.clean) for s in sets if s.name in CLEAN_OF and s.clean]
    sets += _examples()
    names = [each.name for each in sets]
    for name in only:
        if name not in names:
            raise ConfigError(f"--only {name}: no such set.{did_you_mean(name, names)} Found: {', '.join(names)}.")
    chosen = [each for each in sets if not only or each.name in only]
    return [replace(each, degraded=dict(list(each.degraded.items())[:limit])) for each in chosen]


def by_stem(folder: Path, start: str = "") -> dict[str, Path]:
    """The photos of a folder by stem, sorted; empty if the folder does not exist."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.stem: path for path in files if path.suffix.lower() in SUPPORTED and path.name.startswith(start)}


def _read(folder: Path) -> PhotoSet | None:
    degraded, clean, published = (by_stem(folder / part) for part in ("degraded", "clean", "published"))
    if not degraded:
        return None
    if clean:  # a photo without its clean photo cannot be scored
        degraded = {name: path for name, path in degraded.items() if name in clean}
    return PhotoSet(folder.name, degraded, clean, published)


def _examples() -> list[PhotoSet]:
    """The example photos as sets by kind, with and without clean photos."""
    clean = by_stem(EXAMPLES / "clean")
    sets = []
    for kind, start in (("haze", "haze_"), ("lowlight", "dark_"), ("noise", "noise_")):
        photos = by_stem(EXAMPLES / "photos", start)
        made = {name: path for name, path in photos.items() if name in clean}
        real = {name: path for name, path in photos.items() if name not in clean}
        sets.append(PhotoSet(f"{kind}-examples", made, {name: clean[name] for name in made}))
        sets += [PhotoSet(f"{kind}-examples-real", real)] if real else []
    return sets
