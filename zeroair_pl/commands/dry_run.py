"""``restore --dry-run``: says what a run would do with each photo, and why. Nothing is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from zeroair_pl import console
from zeroair_pl.commands.printing import Printer, say_object, seen
from zeroair_pl.degradations import Degradation
from zeroair_pl.inspection.progress import one_line
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.records import Row, Status
from zeroair_pl.jobs.task import Task, fails_alone, found_in_words
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.large import is_large, shrunk_side, working_size
from zeroair_pl.method.settings import Method
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.source import Source
from zeroair_pl.priors.base import Prior
from zeroair_pl.tensors.modes import own_modes
from zeroair_pl.tensors.per_image import build_per_image

# For the time of a fit, measured on photos of every shipped kind.
EXTRA_PASSES = 3  # of the prior, at the start and the end of a fit; one more runs at each noise level
FULL_PASSES = 4  # of a large photo, at full size
TIME_PER_PASSES = 1.25  # the time of a fit divided by that of its passes
_WORDS: dict[Status, str] = {"planned": "to restore", "skipped": "finished", "failed": "refused"}


@dataclass(frozen=True)
class Forecast:
    """What a run would do with one photo.

    Attributes:
        row: as in the table, with the status ``planned``, ``skipped`` or ``failed``; kind and noise level are those at
            the start of the fit.
        output: the file that would be written.
        seconds: estimated seconds of the fit on this machine.
        bytes: estimated size of the output.
    """

    row: Row
    output: str = ""
    seconds: float | None = None
    bytes: int | None = None

    def __str__(self) -> str:
        row = self.row
        if row.status == "failed":
            return f"would fail: {row.reason}"
        if row.status == "skipped":
            return f"would skip: {row.input} (finished: {row.output})"
        what = f"{row.kind or 'unchanged'} ({row.found}), noise {row.noise_level or 0:.3f}"
        estimate = f"about {self.seconds:.1f} s and {(self.bytes or 0) / 1e6:.1f} MB"
        return f"would restore: {row.input} -> {self.output}: {row.width}x{row.height} px, {what}; {estimate}"


def forecast(job: Job, sources: Sequence[Source], printer: Printer) -> list[Row]:
    """Reads each photo as a run would, prints what the run would do with it, and returns the rows."""
    found: list[Forecast] = []
    pace: list[float] = []  # seconds of the prior for a pixel
    for source in sources:
        task = job.read(source)
        one, more = Forecast(task.row), dict[str, Any]()
        if task.photo is not None:
            more = printer.details(task, job, console.show if not (printer.json or printer.quiet) else _nothing)
            one = _planned(job, task, pace)
        found.append(one)
        if printer.json:
            estimate = {"estimated_seconds": one.seconds, "estimated_bytes": one.bytes}
            say_object("photo", **{**asdict(one.row), "output": one.output or one.row.output, **estimate, **more})
        elif one.row.status == "failed" or not printer.quiet:
            (console.tell if printer.quiet else console.show)(one_line(str(one)))
    _sum_up(found, job.outputs.folder, printer)
    return [each.row for each in found]


def _planned(job: Job, task: Task, pace: list[float]) -> Forecast:
    photo, plan, path = task.photo, task.plan, task.path
    assert photo is not None
    assert plan is not None
    assert path is not None
    with fails_alone(task), own_modes(), torch.no_grad():
        if job.outputs.folder.exists():
            job.outputs.require_room(task.source)
        if not task.to_fit:  # only its strength differs
            return Forecast(replace(task.row, status="planned"), str(path), 0.0, task.source.path.stat().st_size)
        prior = plan.method.prior.to(job.device)
        if not pace:
            pace.append(_pace(prior, job.device))
        part = seen(photo)
        large = is_large(part.pixels[None], plan.method)
        pixels = part.pixels[0].numel()
        phi = _started(plan.method, part, task.source.path.name, large)
        passes = 1.0 if phi.untouched else float(job.steps + EXTRA_PASSES)
        if large:
            passes = passes * plan.method.sampling.working_pixels / pixels + (0 if phi.untouched else FULL_PASSES)
        sigma = float(phi.noise_level().mean())
        row = replace(
            task.row,
            kind="" if phi.untouched else phi.kind,
            amount=float(phi.amount) if phi.reason and not phi.untouched else None,
            found=found_in_words(phi, sigma),
            noise_level=sigma,
        )
        size = round(task.source.path.stat().st_size * (phi.shape(photo.pixels[None])[0] / photo.size[0]) ** 2)
        return Forecast(replace(row, status="planned"), str(path), passes * pace[0] * pixels * TIME_PER_PASSES, size)
    return Forecast(task.row)


def _started(method: Method, photo: Photo, name: str, large: bool) -> Degradation:
    """The photo's degradation at the start of its fit; this is when ``auto`` decides."""
    y, pixels = photo.pixels[None], method.sampling.working_pixels
    phi: Degradation = build_per_image(method.fresh, [name], method.seed, "degradation").first
    side = shrunk_side(photo.side, y, pixels) if large else photo.side
    phi.initialize(working_size(y, pixels) if large else y, side, FirstLook(method.prior))
    return phi


def _pace(prior: Prior, device: torch.device) -> float:
    """Seconds that one pass of the prior takes for each pixel."""
    x, sigma = torch.full((1, 3, 128, 128), 0.5, device=device), torch.full((1,), 0.1, device=device)
    seconds = []
    for _ in range(4):  # the first is slower, and so is any while the machine is busy
        began = time.perf_counter()
        float(prior.denoise(x, sigma).sum())
        seconds.append(time.perf_counter() - began)
    return min(seconds) / x[0, 0].numel()


def _sum_up(found: Sequence[Forecast], folder: Path, printer: Printer) -> None:
    counts = Counter(each.row.status for each in found)
    seconds, size = sum(each.seconds or 0.0 for each in found), sum(each.bytes or 0 for each in found)
    if printer.json:
        say_object(
            "summary",
            photos=len(found),
            **{str(status): counts[status] for status in _WORDS},
            estimated_seconds=seconds,
            estimated_bytes=size,
            folder=str(folder),
        )
    if not printer.quiet:
        parts = [f"{counts[status]} {words}" for status, words in _WORDS.items() if counts[status]]
        text = f"{len(found)} photo{'s' * (len(found) != 1)}: {', '.join(parts) or 'nothing to do'}"
        estimate = f"about {seconds:.0f} s and {size / 1e6:.1f} MB"
        (console.tell if printer.json else console.show)(f"{text}; {estimate}. Nothing was written.")


def _nothing(_: str) -> None:
    pass
