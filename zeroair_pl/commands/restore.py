"""``zeroair restore``: restores photos; the main command."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from zeroair_pl import console
from zeroair_pl.api import DEFAULTS, Method
from zeroair_pl.commands.dry_run import forecast
from zeroair_pl.commands.preview import folder_of, named, preparation, preview_of
from zeroair_pl.commands.printing import Printer
from zeroair_pl.config.absolute import with_absolute_paths
from zeroair_pl.config.calling import PRINTING
from zeroair_pl.config.files import as_yaml
from zeroair_pl.degradations import Auto, Degradation
from zeroair_pl.degradations.beside import unused
from zeroair_pl.degradations.downscaled import MOST
from zeroair_pl.degradations.missing import EXPECTED, Missing
from zeroair_pl.errors import ConfigError
from zeroair_pl.inspection.progress import Follow, ListProgress, one_line
from zeroair_pl.jobs.batches import BatchSize
from zeroair_pl.jobs.choices import Choice, Plans, built, choices_of
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.pictures import Wanted
from zeroair_pl.jobs.ranks import Rank
from zeroair_pl.jobs.records import Row
from zeroair_pl.jobs.report import Report
from zeroair_pl.jobs.sharing import restore_list
from zeroair_pl.jobs.task import Task
from zeroair_pl.jobs.workers import end_with_parent
from zeroair_pl.method.display import table_html
from zeroair_pl.method.settings import Guidance, Modeling, Sampling
from zeroair_pl.method.trainer_options import checked_options
from zeroair_pl.paths import at_home
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.side import SideFiles
from zeroair_pl.photos.source import Source
from zeroair_pl.photos.writing import keep_original
from zeroair_pl.priors import Prior
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.sampling import NoiseMatchedSampler
from zeroair_pl.tensors.trainer import device_of

__all__ = ["DEFAULTS", "Results", "restore"]  # the parser reads DEFAULTS


@ranged()
def restore(
    *,
    images: list[str] | str | None = None,
    out: Path = Path("restored"),
    seed: Annotated[int, Range(0)] = 0,
    overwrite: bool = False,
    strength: Annotated[float | dict[str, float] | str, Range(0, 1)] = 1.0,
    upscale: Annotated[float, Range(1, MOST)] = 1.0,
    batch: Annotated[BatchSize, Range(1)] = "auto",
    degradation: Callable[[], Degradation] | None = None,
    prior: Prior,
    modeling: Modeling,
    guidance: Guidance,
    sampling: Sampling,
    save_maps: bool | Literal["npz"] = False,
    strips: bool = True,
    report: bool = True,
    tensorboard: bool = True,
    checkpoint_every: Annotated[int, Range(0)] = 0,
    missing: str | None = None,
    kernel: Path | None = None,
    mask: Path | None = None,
    quiet: bool = False,
    json: bool = False,
    verbose: bool = False,
    explain: bool = False,
    dry_run: bool = False,
    preview: bool | Literal["crop"] = False,
    plugins: list[str] | str | None = None,
    trainer: dict[str, Any] | None = None,
    resolved: str = "",
    choices: Mapping[Path, Choice] | None = None,
) -> Results:
    """Restore photos. For each photo, a degradation model is learned from this photo alone.

    Settings come from --config (a name or a file; several are layered), then from environment variables such as
    ZEROAIR_RESTORE__SEED or ZEROAIR_RESTORE__SAMPLING__STEPS, then from the options below; the later wins.

    Args:
        images: files, folders, globs, or .txt/.csv lists of them (a csv may name a reference to score against).
        out: folder of the restored files, results.csv, report.html, config.yaml, strips/, maps/ and tensorboard/.
        seed: together with a photo's name, it decides all random numbers of the photo.
        overwrite: restore finished photos again, and replace results of other photos that have the same name. Files
            that this program did not write are never replaced.
        strength: share of the correction, from 0 (the photo as it is) to 1 (all of it); or one for each kind, such as
            'Haze=0.6,Noise=1'; a kind that is not named has 1.
        upscale: how many times as wide and as high the restored photo is, from 1 to 8, such as 2 or 1.5.
        batch: how many photos of one size are fitted at once; 'auto' decides by their size and the free memory.
        degradation: the family of degradation models; 'plugins list' shows all.
        prior: the frozen model of clean photos.
        modeling: how the degradation model learns.
        guidance: what moves the clean estimate.
        sampling: which noise levels are visited, and how.
        save_maps: write the degradation's maps as pictures; or 'npz' for one file of numpy arrays.
        strips: write a before/after picture of each photo.
        report: write report.html, a page of all photos to look at, search and sort.
        tensorboard: log each fit for TensorBoard.
        checkpoint_every: timesteps between saved states of a fit, from which a stopped run goes on; 0 saves none.
        missing: a mask, or a folder of masks by the photos' names: white where a pixel of the photo is missing; or the
            color of missing pixels, such as '#ff00ff'; or 'alpha' for transparent ones.
        mask: a mask of where to work, or a folder of masks by the photos' names: white is restored, gray in part. Where
            it is black, the photo stays as it is and has no influence on the fit.
        kernel: a blur kernel (.npy, or a gray picture), or a folder of kernels by the photos' names.
        quiet: print errors only.
        json: print one JSON object for each photo on standard output, as soon as it is final; then a summary.
        verbose: print the settings of each photo's fit, and the seconds of its steps.
        explain: print for each photo the evidence for and against each kind that 'auto' knows.
        dry_run: print what would be done with each photo, and why; write nothing.
        preview: restore a copy of each photo of at most 0.3 megapixels, or its middle ('crop'), into a folder beside
            the output folder.
        plugins: further folders with plugin files.
        trainer: further arguments of lightning.Trainer, such as accelerator.
        resolved: all settings as YAML, for config.yaml.
        choices: settings of single photos, by path; the settings of the folder stay as they are. See ``redo``.

    Raises:
        ConfigError: a setting is impossible, no photo is found, or ``out`` cannot be written.
        KeyboardInterrupt: after the summary; the table holds what was finished.
    """
    out, small = at_home(out), preview_of(preview)
    out = folder_of(out, small) if small else out
    options = checked_options(trainer)
    method = Method(degradation or Auto, prior, modeling, guidance, sampling, seed, upscale, strength)
    options.setdefault("default_root_dir", str(out / "logs"))  # of loggers
    rank = Rank.of(options, os.environ)
    options = rank.one_device(options)
    device = device_of(options)
    # All parts are built once before any photo is opened, so that settings that do not fit together fail at once.
    side_files = _side_files(method, missing, kernel, mask)
    levels = sampling.prepared((sampling.sampler or NoiseMatchedSampler()).fresh(), prior)
    if rank.worker:
        end_with_parent()
    with console.telling_warnings(quiet or rank.worker):
        found = find_images(images or [], skip=out)
    for source in found:  # before anything is written
        keep_original(out / f"{source.name}{source.path.suffix}", source)
    found = named(found, small) if small else found
    outputs = Outputs(out, read_only=dry_run)
    sources = outputs.named(found)
    settings = {k: v for k, v in with_absolute_paths(yaml.safe_load(resolved) or {}).items() if k not in PRINTING}
    try:
        plans = Plans(method, {**settings, **({"preview": small} if small else {})}, method.parts())
        chosen, correction = choices_of(sources, outputs, settings)
        if choices is not None:
            chosen, correction = {source.name: choices[source.path] for source in sources}, True
        for choice in chosen.values():
            plans.of(choice)  # so that a degradation that cannot be built fails now
        if not (rank.worker or dry_run):
            outputs.begin(as_yaml(settings) if settings else "", correction)
    except ConfigError:
        outputs.withdraw()
        raise
    page = Report(outputs, report)
    wanted = Wanted(save_maps is True, save_maps == "npz", strips, page.wanted, tensorboard)
    prepare = preparation(small, kernel) if small else None
    job = Job(
        plans,
        outputs,
        wanted,
        overwrite,
        options,
        len(levels),
        batch,
        device,
        checkpoint_every,
        chosen,
        side_files,
        prepare,
    )
    printer = Printer(quiet, json, verbose, explain)
    if dry_run:
        return Results(forecast(job, sources, printer), out)
    if rank.worker:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, ListProgress(len(sources), nowhere) as progress:
            restore_list(job, sources, rank, "", progress, lambda task: None, lambda row: None)
        return Results([], out)
    return _run(job, sources, rank, resolved, printer, page, _kept_choices(sources, outputs, chosen, settings))


def _side_files(method: Method, missing: str | None, kernel: Path | None, mask: Path | None) -> SideFiles:
    """The files beside the photos, which the method must be able to use.

    Raises:
        ConfigError: it cannot, one of them is not there, or the method cannot be built.
    """
    phi, times = built(method.fresh), method.upscale
    for name, value in (("missing", missing), ("kernel", kernel)):
        if value is not None and (why := unused(phi, name)):
            raise ConfigError(f"--{name} {value}: {why}")
    if missing is None and any(isinstance(each, Missing) and not each.find for each in phi.modules()):
        raise ConfigError(f"--missing: nothing says what is to be filled; {EXPECTED}")
    if mask is not None and times != round(times):
        raise ConfigError(f"--upscale {times}: with --mask, expected a whole number, such as {math.ceil(times)}.")
    found = SideFiles(at_home(missing) if missing else None, kernel and at_home(kernel), mask and at_home(mask))
    return found.checked()


def _run(
    job: Job, sources: list[Source], rank: Rank, resolved: str, printer: Printer, page: Report, notes: Iterable[str]
) -> Results:
    """Restores the list, and keeps the table, the page and the display current, however the run ends."""
    outputs, began, refused, lock = job.outputs, time.perf_counter(), False, threading.Lock()
    try:
        with printer.progress(len(sources)) as progress:

            def finish(row: Row, follow: Follow | None = None, **more: Any) -> None:
                with lock:
                    outputs.add(row)
                    page.update()
                    printer.photo(row, progress, **more)
                    what = "" if row.status in ("failed", "skipped") else row.said
                    progress.advance(row.status, row.name, follow, what)

            def done(task: Task) -> None:
                for note in task.notes:
                    progress.print(f"note: {one_line(note)}")
                finish(task.row, task.follow, **printer.details(task, job, progress.print))

            for note in notes:
                progress.print(note)
            restore_list(job, sources, rank, resolved, progress, done, finish)
            for source in sources:
                if source.name not in outputs.rows:  # only a bug here can cause this
                    reason = f"{source.path}: never started, a fault of this program; run it again."
                    finish(Row(source.name, str(source.path), reason=reason))
    except ConfigError:
        if refused := not outputs.rows:
            outputs.withdraw()
        raise
    finally:
        if not refused:
            if not outputs.current:
                outputs.write_table()
            page.update(end=True)
            if page.trouble and not printer.quiet:
                console.tell(f"note: {page.trouble}")
            seconds = time.perf_counter() - began
            printer.summary(outputs, len(sources), seconds, job.wanted.tensorboard, page.path)
    rows = [outputs.rows[name] for name in outputs.names if name in outputs.rows]
    return Results(rows, outputs.folder, outputs.trouble)


@dataclass(frozen=True)
class Results:
    """What became of each photo.

    Attributes:
        rows: one for each photo, in the order of the list, as in ``folder/results.csv``.
        folder: the output folder.
        trouble: why that table could not be written, or ``""``.
    """

    rows: list[Row]
    folder: Path
    trouble: str = ""

    @property
    def exit_status(self) -> int:
        """0; or 1 if a photo could not be restored or scored, or if the table could not be written."""
        return int(bool(self.trouble) or any(row.status == "failed" or row.reason for row in self.rows))

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        columns = ("name", "status", "kind", "found", "noise_level", "seconds", "psnr", "output", "reason", "note")
        used = [name for name in columns if any(getattr(row, name) not in (None, "") for row in self.rows)]
        return table_html(used, ([getattr(row, name) for name in used] for row in self.rows), str(self.folder))


def _kept_choices(
    sources: list[Source], outputs: Outputs, chosen: dict[str, Choice], settings: dict[str, Any]
) -> Iterator[str]:
    """A line for each photo that keeps a choice from an earlier run."""
    for source in sources:
        if source.name in chosen:
            continue
        record = outputs.records.read(source.name)
        choice = Choice(**record.choice).without(settings) if record is not None else Choice()
        if choice != Choice():
            yield f"note: {source.name} keeps its own choice: {choice}"
