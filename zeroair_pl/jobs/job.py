"""The steps of one photo: check whether it is finished, decode, fit, encode, score, and record that it is finished."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zeroair_pl.errors import InputError
from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.jobs.batches import BatchSize, batch_size
from zeroair_pl.jobs.choices import Choice, Plans
from zeroair_pl.jobs.fitting import Fitting
from zeroair_pl.jobs.full_strength import FullStrength
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.pictures import Wanted, kept, pictures_of, present
from zeroair_pl.jobs.records import Record, Row, digest, of_photo
from zeroair_pl.jobs.task import Task, fails_alone
from zeroair_pl.method.checkpoints import Checkpoints
from zeroair_pl.method.shares import share_of, steps_of, strength_for
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import load_photo, original
from zeroair_pl.photos.side import SideFiles
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.photos.source import Source
from zeroair_pl.photos.writing import encode_photo, output_path

if TYPE_CHECKING:
    from lightning.pytorch import Callback


@dataclass(frozen=True)
class Job:
    """Reads, fits and writes photos; all that the photos of a run have in common.

    ``read``, ``fit`` and ``write`` are called in three threads; see ``pipeline``.

    Args:
        plans: how photos are restored.
        outputs: where the results go.
        wanted: what is written for each photo.
        overwrite: restore finished photos again.
        trainer: further arguments of ``lightning.Trainer``.
        steps: timesteps of a fit.
        batches: how many photos of one size are fitted together, or ``auto``.
        device: that fits them.
        checkpoint_every: timesteps between checkpoints in the middle of a fit; 0 makes none.
        chosen: choices of this run, by the photo's name; any other photo has the choice in its record.
        side_files: the masks and kernels that come with the photos.
        prepare: changes a photo before its fit, for previews.
    """

    plans: Plans
    outputs: Outputs
    wanted: Wanted
    overwrite: bool
    trainer: dict[str, Any]
    steps: int
    batches: BatchSize
    device: torch.device
    checkpoint_every: int = 0
    chosen: Mapping[str, Choice] = field(default_factory=dict)
    side_files: SideFiles = field(default_factory=SideFiles)
    prepare: Callable[[Photo], Photo] | None = None

    def read(self, source: Source) -> Task:
        """Checks whether the photo is finished, and decodes it if not."""
        task = Task(source, Row(source.name, str(source.path)))
        with task.clock("read"), fails_alone(task):
            record = task.before = self.outputs.records.read(source.name)
            task.choice = self._choice(source, record)
            task.plan = self.plans.of(task.choice)
            # Hashed before decoding: if the file changes meanwhile, the record has the digest of the old bytes, and the
            # next run restores the photo again.
            depends = {**of_photo(source.path, task.plan.depends), **self._side(source, task.choice)}
            task.row = replace(task.row, settings=digest(depends))
            if record is not None and self.outputs.finished(record, task.row.settings) and not self.overwrite:
                task.row = replace(record.row, input=str(source.path), status="skipped", reason="")
                return task
            photo = self.side_files.of(task.choice.mask).read(source, load_photo(source.path))
            photo = photo if self.prepare is None else self.prepare(photo)
            task.row = replace(task.row, height=photo.size[0], width=photo.size[1])
            path = output_path(self.outputs.folder, source, photo)
            self._may_write(path, source, depends["sha256"], record)
            if record is not None and not self.overwrite:
                by_kind = isinstance(strength_for(task.plan.strength, record.row.kind), dict)
                steps = self._stored.read_steps(record) if by_kind else []
                task.full = None if steps is None else self._stored.read(record, depends)
                if task.full is not None:  # only its strength differs: no fit is needed
                    task.steps = steps or []
                    task.unchanged = record.row.status == "unchanged"
                    task.row = replace(record.row, input=str(source.path), settings=task.row.settings)
            task.depends, task.photo, task.path = depends, photo, path
        return task

    @property
    def _stored(self) -> FullStrength:
        return FullStrength(self.outputs.records)

    def settings_of(self, source: Source, record: Record) -> str:
        """The digest ``Row.settings`` that this run would give to the bytes of the photo in the record."""
        choice = self._choice(source, record)
        depends = self.plans.of(choice).depends
        own = {"file": source.path.name, "sha256": record.depends.get("sha256")}
        return digest({**own, **depends, **self._side(source, choice)})

    def _side(self, source: Source, choice: Choice) -> dict[str, Any]:
        """The digests of the masks and the kernel that the result of the photo depends on."""
        found = self.side_files.of(choice.mask).digests(source)
        return {"side": found} if found else {}

    def _choice(self, source: Source, record: Record | None) -> Choice:
        return self.chosen.get(source.name, Choice(**(record.choice if record is not None else {})))

    def _may_write(self, path: Path, source: Source, sha256: str, record: Record | None) -> None:
        """Raises InputError if this program did not write the file that is there, or wrote it for another photo."""
        if reason := self.outputs.foreign(path.relative_to(self.outputs.folder).as_posix(), source.name, record):
            raise InputError(f"{reason} Move it, or name another --out.")
        another = (
            record is not None
            and record.photo != os.path.realpath(source.path)
            and record.depends.get("sha256") != sha256
        )
        if another and os.path.lexists(path) and not self.overwrite:
            raise InputError(f"{path}: exists, and is not made from {source.path}; use --overwrite or another --out.")

    def batch(self, task: Task) -> int:
        """How many photos like this one to fit together."""
        assert task.photo is not None
        assert task.plan is not None
        return batch_size(self.batches, task.photo, task.plan.method, self.device)

    def fit(self, tasks: Sequence[Task], progress: ListProgress) -> None:
        """Restores photos of one size. Skips those that could not be read and those that are finished."""
        for task in tasks:
            with fails_alone(task):
                self.outputs.require_room(task.source)
        fitting = Fitting(self.trainer, partial(self._watched, progress), progress.print, self._forget)
        began = time.perf_counter()
        fitting.fit([task for task in tasks if task.to_fit])
        for task in tasks:
            task.spent["fit"] = (time.perf_counter() - began) / len(tasks)

    def _forget(self, task: Task) -> None:
        self.outputs.records.path(task.source.name, ".ckpt").unlink(missing_ok=True)

    @contextmanager
    def _watched(self, progress: ListProgress, tasks: Sequence[Task], again: bool) -> Iterator[Sequence[Callback]]:
        """The callbacks of one attempt: progress bar, TensorBoard, and checkpoints unless it is a second attempt."""
        names = [task.source.name for task in tasks]
        shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        follow = progress.image(shown, self.steps, len(tasks))
        for task in tasks:
            if task.follow is not None:
                task.follow.leave()
            task.follow = follow
        callbacks: list[Callback] = [follow]
        if self.wanted.tensorboard:
            from zeroair_pl.inspection.tensorboard import TensorBoard

            assert tasks[0].plan is not None
            callbacks.append(TensorBoard(self.outputs.board, names, config=tasks[0].plan.resolved))
        if self.checkpoint_every and not again:
            own = [task.row.settings for task in tasks]
            settings = own[0] if len(own) == 1 else digest({"batch": own})
            path = self.outputs.records.path(names[0], ".ckpt")
            callbacks.append(Checkpoints(path, self.checkpoint_every, settings))
        try:
            yield callbacks
        finally:
            follow.end()

    def write(self, task: Task) -> Row:
        """Writes and scores the restored photo, and records that it is finished; returns the photo's row."""
        source = task.source
        with task.clock("write"), fails_alone(task):
            if task.row.status == "skipped" and task.before is not None and source.reference is not None:
                path = self.outputs.folder / task.row.output
                task.row = _scored(task.row, source, load_photo(source.path), path)
                self.outputs.records.write(replace(task.before, row=replace(task.row, status=task.before.row.status)))
            if task.photo is not None and (task.result is not None or task.full is not None):
                self._write(task, task.photo)
        return task.row

    def _write(self, task: Task, photo: Photo) -> None:
        """Writes the output, its pictures and its record. A picture that cannot be written becomes a note."""
        source, before = task.source, task.before
        files, notes = self._files(task, photo)
        output = next(iter(files))
        digests = {name: [hashlib.sha256(data).hexdigest()] for name, data in files.items()}
        row = replace(task.row, output=output)
        record = Record(os.path.realpath(source.path), task.depends, row, digests, task.choice.kept(), task.shown)
        self.outputs.claim(record, before)
        for name, data in files.items():
            try:
                write_atomically(self.outputs.folder / name, data)
            except InputError as error:
                if name == output:
                    raise
                notes.append(str(error))
                digests.pop(name, None)
        digests |= {name: each for name, each in kept(task).items() if name not in digests}
        note = "; ".join(dict.fromkeys(filter(None, [row.note, *notes])))
        row = replace(row, status="unchanged" if task.unchanged else "restored", note=note)
        row = _scored(row, source, photo, self.outputs.folder / output)
        self.outputs.records.write(replace(record, row=row, shown=present(task.shown, digests)))
        self._forget(task)
        if before is not None:
            self._stored.forget(before, files)
        task.row, task.notes = row, notes

    def _files(self, task: Task, photo: Photo) -> tuple[dict[str, bytes], list[str]]:
        """What is to be written for the photo, by name, its output first; and notes on what is not."""
        source, path = task.source, task.path
        assert path is not None
        strength = 1.0 if task.plan is None else strength_for(task.plan.strength, task.row.kind)
        whole = self.prepare is None
        own = original(source.path, task.depends["sha256"]) if whole and (task.unchanged or strength == 0) else None
        full = task.full or (own if task.unchanged else None)
        if full is None:
            assert task.result is not None
            full = encode_photo(path, task.result.restored[0], photo)
        if isinstance(strength, dict) and task.result is not None:
            steps = steps_of(task.result.phi[0], task.result.restored[0], photo)
            task.steps = [encode_photo(path, step, photo) for step in steps]
        made = full if task.unchanged else share_of(path, full, photo, strength, own, task.row.kind, task.steps)
        others, notes = pictures_of(self.outputs, self.wanted, task, photo, made)
        if task.unchanged and full != own and whole:
            task.row = replace(task.row, note="; ".join(filter(None, [task.row.note, task.no_copy()])))
        if strength != 1 and not task.unchanged:
            others[self._stored.name(source.name)] = full
            others |= zip(self._stored.steps(source.name, task.row.kind), task.steps, strict=False)
        files = {path.relative_to(self.outputs.folder).as_posix(): made}
        for name, data in others.items():
            if reason := self.outputs.foreign(name, source.name, task.before):
                notes.append(f"{reason} It stays.")
            else:
                files[name] = data
        return files, notes


def _scored(row: Row, source: Source, photo: Photo, output: Path) -> Row:
    """The row with PSNR and SSIM of the photo and of the written file. Only this function opens the reference."""
    row = replace(row, psnr_input=None, psnr=None, ssim_input=None, ssim=None)
    if source.reference is None:
        return row
    from zeroair_pl.scores.metrics import psnr, ssim_paper

    try:
        truth, before, after = load_photo(source.reference).pixels, photo.pixels, load_photo(output).pixels
    except InputError as error:
        return replace(row, reason=str(error))
    if truth.shape != after.shape:
        (_, h, w), (_, height, width) = truth.shape, after.shape
        what = "the photo" if after.shape == before.shape else "the restored photo"
        return replace(row, reason=f"{source.reference}: the reference is {w}x{h} px, {what} {width}x{height} px.")
    before = as_large_as(before, (after.shape[-2], after.shape[-1]))  # bicubic, as a viewer would enlarge it
    p, s = ([float(metric(image[None], truth[None])) for image in (before, after)] for metric in (psnr, ssim_paper))
    return replace(row, psnr_input=p[0], psnr=p[1], ssim_input=s[0], ssim=s[1])
