"""``zeroair evaluate``: scores results against references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import torch
import yaml
from rich.console import Console
from rich.progress import track
from torch import Tensor

from zeroair_pl import console
from zeroair_pl.api import DEFAULTS as OF_METHOD
from zeroair_pl.commands.gallery import REFERENCE, Gallery
from zeroair_pl.commands.restore import Results, restore
from zeroair_pl.config.files import as_yaml
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.jobs.names import check_folder
from zeroair_pl.paths import at_home
from zeroair_pl.photos.ownership import OwnFiles
from zeroair_pl.photos.reading import check_file, load_photo
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.scores import metrics, tables
from zeroair_pl.scores.matching import Case, Files, cases, result_sets
from zeroair_pl.scores.scoring import DEGRADED, Scored, score

# The parser reads these defaults. ``degradation`` has none, since without one nothing is restored.
DEFAULTS = {name: value for name, value in OF_METHOD.items() if name != "degradation"}

RESTORED = "restored"  # title of the set of results that this command has restored itself


@ranged()
def evaluate(
    *,
    results: list[str] | str | None = None,
    images: list[str] | str | None = None,
    references: list[str] | str | None = None,
    out: Path = Path("evaluated"),
    seed: Annotated[int, Range(0)] = 0,
    seeds: Annotated[list[int] | int | None, Range(0)] = None,
    resolved: str = "",
    **settings: Any,
) -> Evaluation:
    """Score results against references, side by side; where a config is given, restore the photos first.

    Files are matched by name: dehazed/trip/harbour.jpg belongs to clean/trip/harbour.png, or to clean/harbour.png.

      evaluate --results dehazed --references clean                        scores what is there
      evaluate --config dehaze --images hazy --references clean            restores hazy/ and scores that
      evaluate --config dehaze --images list.csv --results published --seeds 0 1 2

    Args:
        results: folders of results to score; or csv lists of results (column 'image') with their 'reference'.
        images: the degraded photos, as for restore; a csv list may name their references.
        references: the clean photos; or a csv list with columns 'image' and 'reference'. Only the scores use them.
        out: folder of scores.csv, summary.csv, scores.json and report.html. Restored photos go to a folder for each
            seed in it.
        seed: of the restoration.
        seeds: restore with each of these in turn.
        resolved: all settings as YAML.
        settings: as for restore.

    Raises:
        ConfigError: a setting is impossible, or there is nothing to score.
        KeyboardInterrupt: nothing is scored. Photos that were restored are kept for the next run.
    """
    out = at_home(out)
    restores = settings.get("degradation") is not None
    if not restores and not results:
        raise ConfigError(
            "Nothing to score is named. Name folders of results, as in --results restored --references clean; or a "
            "config and photos to restore, as in --config dehaze --images hazy --references clean."
        )
    if restores and not images:
        raise ConfigError("--images: name the degraded photos that are to be restored and scored.")
    check_folder(out)
    OwnFiles(out).check(tables.FILES)
    sets = result_sets(results or [], [DEGRADED, *([RESTORED] if restores else [])])
    photos = Files(images, skip=out) if images else None
    chosen, errors = cases(photos, Files(references) if references else None, list(sets.values()))
    if any(case.reference for case in chosen):
        _look_for_lpips()
    job = Evaluation(out, errors=errors, gallery=Gallery(out, settings.get("report", True)))
    for error in errors:
        console.tell(f"error: {error}")
    if restores:
        chosen = [case for case in chosen if job.is_there(case)]
        if not chosen:
            raise ConfigError("None of the photos can be restored; the lines above say why.")
        paths = [str(case.image) for case in chosen]  # a restoration gets no list that names references
        for each in dict.fromkeys([seed] if seeds is None else [seeds] if isinstance(seeds, int) else seeds):
            folder = out / f"seed_{each}"
            own = _settings_of_one(resolved, images=paths, out=str(folder), seed=each)
            job.add(each, restore(images=paths, out=folder, seed=each, resolved=own, **settings))
    for case in _watched(chosen):
        job.score(case, sets)
    if not job.scored:
        raise ConfigError("Nothing could be scored; the lines above say why.")
    tables.write(out, job.scored, job.errors)
    job.gallery.write(job.scored, job.errors)
    if job.gallery.trouble:
        console.tell(f"note: {job.gallery.trouble}")
    console.show(tables.shown(job.scored))
    console.show(f"Scores: {out / 'scores.csv'}, {out / 'summary.csv'}, {out / 'scores.json'}")
    if job.gallery.path:
        console.show(f"Look at them: {job.gallery.path}")
    return job


@dataclass
class Evaluation:
    """What was scored.

    Attributes:
        scored: one entry for each image of each set of results and each seed.
        errors: one line for each file that could not be scored.
        restored: what was restored, by seed.
    """

    folder: Path
    scored: list[Scored] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    restored: dict[int, Results] = field(default_factory=dict)
    gallery: Gallery = field(default_factory=lambda: Gallery(Path(), wanted=False))

    @property
    def exit_status(self) -> int:
        """0, or 1 if anything could not be restored, or not be scored."""
        return int(bool(self.errors) or any(results.exit_status for results in self.restored.values()))

    def is_there(self, case: Case) -> bool:
        """Whether the photo to restore is there; if not, prints an error and adds it to ``errors``."""
        assert case.image is not None
        try:
            check_file(case.image)
        except InputError as error:
            self._fail(str(error))
            return False
        return True

    def add(self, seed: int, results: Results) -> None:
        """Adds the photos that were restored with this seed, and their errors."""
        self.restored[seed] = results
        said = [results.trouble, *(row.reason for row in results.rows)]
        self.errors += [line for line in dict.fromkeys(said) if line and line not in self.errors]

    def score(self, case: Case, sets: dict[str, Files]) -> None:
        """Adds the scores of one image in all sets. Each file that cannot be scored becomes one line in ``errors``."""
        try:
            truth = None if case.reference is None else load_photo(case.reference).pixels
            degraded = None if case.image is None else load_photo(case.image).pixels
            if case.image is not None and degraded is not None:
                _compare(case.image, degraded, "its reference", case.reference, truth)
                self.scored.append(Scored(DEGRADED, case.name, score(degraded, truth)))
            self.gallery.add(case.name, DEGRADED, degraded, case.image)
            self.gallery.add(case.name, REFERENCE, truth, case.reference)
        except InputError as error:  # without the photo and the reference, no result of it can be scored
            self._fail(str(error))
            return
        for title, seed, path, facts in self._files(case, sets):
            try:
                pixels = load_photo(path).pixels
                _compare(path, pixels, "its reference", case.reference, truth)
                _compare(path, pixels, "the degraded photo", case.image, degraded)
                found = score(pixels, truth, degraded)
            except InputError as error:
                self._fail(str(error))
            else:
                self.scored.append(Scored(title, case.name, found | facts, seed))
                self.gallery.add(case.name, title, pixels, path, seed)

    def _files(self, case: Case, sets: dict[str, Files]) -> Iterator[tuple[str, int | None, Path, dict[str, float]]]:
        """The set, seed, file, and seconds and nfe of each result for one image."""
        for seed, results in self.restored.items():
            for row in results.rows:
                if row.input == str(case.image) and row.status != "failed":
                    facts = {"seconds": row.seconds, "nfe": row.nfe}
                    known = {name: round(value, 2) for name, value in facts.items() if value is not None}
                    yield RESTORED, seed, results.folder / row.output, known
        for title, files in sets.items():
            try:
                yield title, None, files.find(case.name).path, {}
            except InputError as error:
                self._fail(str(error))

    def _fail(self, line: str) -> None:
        if line not in self.errors:
            self.errors.append(line)
            console.tell(f"error: {line}")


def _settings_of_one(resolved: str, **own: Any) -> str:
    """The settings of one restoration, for its config.yaml, which ``restore --config`` reads again."""
    if not resolved:
        return ""
    values = {key: value for key, value in yaml.safe_load(resolved).items() if key in signature(restore).parameters}
    return as_yaml({**values, **own})


def _compare(path: Path, pixels: Tensor, what: str, other: Path | None, against: Tensor | None) -> None:
    """Raises an InputError that names both files if their sizes differ."""
    if against is not None and pixels.shape != against.shape:
        (_, h, w), (_, height, width) = pixels.shape, against.shape
        raise InputError(f"{path}: is {w}x{h} px, but {what} {other} {width}x{height} px.")


def _look_for_lpips() -> None:
    """Checks LPIPS before any work: says how to get its network if it is missing; a damaged file is an error."""
    weights = metrics.lpips_weights()
    if weights.is_file():
        nothing = torch.zeros(1, 3, metrics.LPIPS_SIDE, metrics.LPIPS_SIDE)
        metrics.lpips(nothing, nothing)
        return
    console.tell(
        f"note: no LPIPS, as {weights} is not there. Where there is a network, this downloads it (233 MB): "
        'python -c "import lpips; lpips.LPIPS()"'
    )


def _watched(chosen: Sequence[Case]) -> Iterable[Case]:
    """Gives the cases, with a progress bar if standard error is a terminal."""
    stream = console.stream("stderr")
    return track(chosen, "scoring", console=Console(file=stream), transient=True, disable=not stream.isatty())
