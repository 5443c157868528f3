"""``python cli.py restore``: the main job."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from zeroair_pl.batches import BatchSize
from zeroair_pl.degradations import Degradation
from zeroair_pl.errors import ConfigError, describe, did_you_mean
from zeroair_pl.fit import Method, Sampling, device_of
from zeroair_pl.images import Source, find_images
from zeroair_pl.inspection.progress import Follow, ListProgress, one_line
from zeroair_pl.job import Job
from zeroair_pl.outputs import Outputs
from zeroair_pl.pipeline import restore_all
from zeroair_pl.priors import Prior
from zeroair_pl.ranks import Rank
from zeroair_pl.restoration import Modelling
from zeroair_pl.sampling import Guidance
from zeroair_pl.saving import write_atomically
from zeroair_pl.schedule import Schedule
from zeroair_pl.sidecars import Row, dependencies, digest
from zeroair_pl.task import Task

# Of the settings that are objects: named here as a config would, so that the resolved config can name them too.
DEFAULTS: dict[str, Any] = {
    "prior": {"class_path": "UNetPrior"},
    "guidance.update": {"class_path": "ProximalUpdate"},
    "sampling.scheduler": {"class_path": "DDIMScheduler"},
}

# What the fit itself decides, or what would stop it before the end of its schedule.
_TRAINER_OWN = {"callbacks", "logger", "enable_checkpointing", "accumulate_grad_batches", "gradient_clip_val"} | {
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run"),
}


def restore(
    *,
    images: list[str] | str | None = None,
    out: Path = Path("restored"),
    seed: int = 0,
    overwrite: bool = False,
    batch: BatchSize = "auto",
    degradation: Callable[[], Degradation] | None = None,
    prior: Prior,
    modelling: Modelling,
    guidance: Guidance,
    sampling: Sampling,
    save_maps: bool = False,
    strips: bool = True,
    tensorboard: bool = True,
    checkpoint_every: int = 0,
    plugins: list[str] | str | None = None,
    trainer: dict[str, Any] | None = None,
    resolved: str = "",
) -> Results:
    """Restore photos, each with a degradation model of its own that is learned from this one photo.

    Settings come from --config (a name or a file; several are layered), then from environment variables such as
    ZEROAIR_RESTORE__SEED or ZEROAIR_RESTORE__SAMPLING__STEPS, then from the options below; the later wins.

    Args:
        images: files, folders, globs, or .txt/.csv lists of them (a csv may name a reference to score against).
        out: folder of the restored files, results.csv, config.yaml, strips/, maps/ and tensorboard/.
        seed: with a photo's name it decides all its random numbers.
        overwrite: restore photos again that are finished, and replace files that are no result of this photo.
        batch: how many photos of one size are fitted at once; 'auto' goes by their size and the free memory.
        degradation: the family of degradation models; 'plugins list' shows all.
        prior: the frozen model of clean photos.
        modelling: how the degradation model learns.
        guidance: what moves the clean estimate.
        sampling: which noise levels are visited, and how.
        save_maps: write the degradation's maps as pictures.
        strips: write a before/after picture of each photo.
        tensorboard: log each fit for TensorBoard.
        checkpoint_every: timesteps after which the state of a fit is saved, for it to go on from there; 0 never.
        plugins: further folders with plugin files.
        trainer: further arguments of lightning.Trainer, such as accelerator.
        resolved: all settings as YAML, for config.yaml.

    Raises:
        ConfigError: a setting is impossible, no photo is found, or ``out`` cannot be written.
        KeyboardInterrupt: after the summary; the table holds what was finished.
    """
    if checkpoint_every < 0:
        raise ConfigError(f"checkpoint_every is {checkpoint_every}, expected a number of timesteps, or 0 for never.")
    if batch != "auto" and batch < 1:
        raise ConfigError(f"batch is {batch}, expected how many photos are fitted at once, at least 1, or 'auto'.")
    made, options = _family(degradation), _checked(trainer)
    rank = Rank.of(options, os.environ)
    options = rank.one_device(options)
    assert degradation is not None
    # Built once before any photo is opened: what does not fit together is refused here.
    schedule = Schedule(
        sampling.scheduler, prior, sampling.steps, sampling.start, sampling.end, sampling.spacing, sampling.eta
    )
    sources = _find(images or [], out, quiet=rank.number > 0)
    outputs = Outputs(out, [source.name for source in sources])
    if resolved and rank.number == 0:
        write_atomically(out / "config.yaml", resolved.encode("utf-8", "surrogateescape"))
    method = Method(degradation, prior, modelling, guidance, sampling, seed)
    settings = {k: v for k, v in (yaml.safe_load(resolved) or {}).items() if k in Method.__dataclass_fields__}
    losses = [term.loss for term in (*modelling.terms, *guidance.terms)]
    job = Job(
        method,
        outputs,
        {"maps": save_maps, "strips": strips, "tensorboard": tensorboard, "overwrite": overwrite},
        options,
        resolved,
        dependencies(settings, prior.fingerprint(), [made, prior, guidance.update, sampling.scheduler, *losses]),
        len(schedule.timesteps),
        batch,
        device_of(options),
        checkpoint_every,
    )
    if rank.number > 0:
        _take_part(job, sources, rank)
        return Results([], out)
    began = time.perf_counter()
    try:
        with ListProgress(len(sources), workers=rank.size) as progress:
            lock = threading.Lock()

            def finish(row: Row, follow: Follow | None = None) -> None:
                with lock:
                    outputs.add(row)
                    if row.reason:
                        progress.print(f"error: {one_line(row.reason)}")
                    progress.advance(row.status, row.name, follow)

            if rank.size == 1:
                restore_all(job, sources, progress, lambda task: finish(task.row, task.follow))
            else:
                _share_out(job, sources, rank, progress, finish)
            for row in _never_finished(sources, outputs):
                finish(row)
    finally:
        if not outputs.current:
            outputs.write_table()
        _summarise(outputs, len(sources), time.perf_counter() - began, tensorboard)
    return Results([outputs.rows[name] for name in outputs.names if name in outputs.rows], out, outputs.trouble)


@dataclass(frozen=True)
class Results:
    """What became of each photo, in the order of the list, as in ``folder/results.csv``.

    ``trouble`` says why that table could not be written, if so.
    """

    rows: list[Row]
    folder: Path
    trouble: str = ""

    @property
    def exit_status(self) -> int:
        """0, or 1 if a photo could not be restored, or not be scored, or the table not be written."""
        return int(bool(self.trouble) or any(row.status == "failed" or row.reason for row in self.rows))


def _never_finished(sources: list[Source], outputs: Outputs) -> list[Row]:
    """Failed rows for the photos that a run which ended normally has no row of, which only a fault here can cause."""
    return [
        Row(source.name, str(source.path), reason=f"{source.path}: never begun, a fault of this program; run it again.")
        for source in sources
        if source.name not in outputs.rows
    ]


def _share_out(
    job: Job, sources: list[Source], rank: Rank, progress: ListProgress, finish: Callable[..., None]
) -> None:
    """Rank 0 takes photos as all others do, and hears of those that others take."""
    from zeroair_pl.sharing import Gathering, Share

    share = Share(rank, sources, _agreed(job, sources))

    def done(task: Task) -> None:
        finish(task.row, task.follow)
        share.tell(task.row)

    with Gathering(share, job.outputs.folder / "config.yaml", finish):
        restore_all(job, share, progress, done, share.fair)


def _take_part(job: Job, sources: list[Source], rank: Rank) -> None:
    """What the other ranks do; rank 0 shows it."""
    from zeroair_pl.sharing import Share, neighbours

    share = Share(rank, sources, _agreed(job, sources))
    try:
        with (
            neighbours(share, job.outputs.folder / "config.yaml"),
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            ListProgress(len(sources), nowhere) as progress,
        ):
            restore_all(job, share, progress, lambda task: share.tell(task.row), share.fair)
    finally:
        share.leave()


def _agreed(job: Job, sources: list[Source]) -> str:
    """What must be the same in all ranks."""
    return digest({"list": [(source.name, str(source.path)) for source in sources], **job.wanted, **job.depends})


def _find(images: list[str] | str, out: Path, quiet: bool) -> list[Source]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sources = find_images(images, skip=out)
    for warning in caught if not quiet else ():
        print(f"warning: {warning.message}", file=sys.stderr)
    return sources


def _family(degradation: Callable[[], Degradation] | None) -> Degradation:
    """One degradation model, for the factory to be known to work."""
    if degradation is None:
        raise ConfigError(
            "No degradation is named. Use a config, for example --config dehaze, or --degradation NAME; "
            "'plugins list' shows all."
        )
    with torch.random.fork_rng(devices=[]):
        try:
            made = degradation()
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"degradation: cannot be built, {describe(error)}") from error
    if type(made).forward is Degradation.forward:
        raise ConfigError(f"degradation: {type(made).__name__} has no forward(x); name one of 'plugins list'.")
    return made


def _checked(trainer: dict[str, Any] | None) -> dict[str, Any]:
    import inspect

    from lightning.pytorch import Trainer

    known = [name for name in inspect.signature(Trainer.__init__).parameters if name != "self"]
    for name in trainer or {}:
        if name in _TRAINER_OWN:
            raise ConfigError(f"trainer.{name}: is decided by the fit itself.")
        if name not in known:
            raise ConfigError(f"trainer: lightning.Trainer has no option {name!r}.{did_you_mean(name, known)}")
    return dict(trainer or {})


def _summarise(outputs: Outputs, total: int, seconds: float, board: bool) -> None:
    counts = Counter(row.status for row in outputs.rows.values())
    left = total - len(outputs.rows)
    parts = [f"{counts[status]} {status}" for status in ("restored", "skipped", "failed") if counts[status]]
    parts += [f"{left} not begun"] if left else []
    print(f"{total} photo{'s' * (total != 1)} in {seconds:.0f} s: {', '.join(parts) or 'nothing to do'}")
    print(f"Results: {outputs.folder} (table: {outputs.results})")
    if outputs.trouble:
        print(f"error: {outputs.trouble}", file=sys.stderr)
    if board and counts["restored"]:
        print(f"Look at the fits: tensorboard --logdir {outputs.board}")
