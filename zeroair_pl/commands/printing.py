"""What a run prints: lines for people, and with ``--json`` one JSON object in a line for programs.

With ``--json``, standard output has only the objects, and lines for people go to standard error.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from zeroair_pl import console
from zeroair_pl.degradations.light import exposure_in_words, luminance
from zeroair_pl.degradations.noise_level import estimate_noise_level
from zeroair_pl.inspection.evidence import evidence
from zeroair_pl.inspection.progress import ListProgress, one_line
from zeroair_pl.jobs.choices import kind_of
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.records import Row, Status
from zeroair_pl.jobs.task import Task
from zeroair_pl.method.large import is_large
from zeroair_pl.photos.masking import view_of
from zeroair_pl.photos.photo import Photo

_ORDER = [status for status in get_args(Status) if status != "planned"]


@dataclass(frozen=True)
class Printer:
    """Prints what happens in a run.

    Args:
        quiet: print only errors, on standard error.
        json: print one object for each photo on standard output, as soon as it is final, and a summary as the last;
            lines for people go to standard error.
        verbose: print the settings of each photo's fit, and the seconds of its steps.
        explain: print for each photo the evidence for and against each family that ``auto`` knows.
    """

    quiet: bool = False
    json: bool = False
    verbose: bool = False
    explain: bool = False

    def progress(self, total: int) -> ListProgress:
        """The progress display for a list of ``total`` photos; it shows nothing if ``quiet``."""
        return ListProgress(total, io.StringIO() if self.quiet else None)

    def photo(self, row: Row, progress: ListProgress, **more: Any) -> None:
        """Prints what became of one photo; ``more`` are further fields of its JSON object."""
        if row.reason:
            self.error(row.reason, progress)
        if self.json:
            say_object("photo", **asdict(row), **more)

    def details(self, task: Task, job: Job, say: Callable[[str], None]) -> dict[str, Any]:
        """Prints what ``verbose`` and ``explain`` ask for, and returns it as fields of the photo's JSON object."""
        found: dict[str, Any] = {}
        name = one_line(task.source.name)
        if self.verbose and (plan := plan_of(task, job.steps)):
            say(f"plan: {name}: {'; '.join(_in_words(key, value) for key, value in plan.items())}")
            found["plan"] = plan
        if self.verbose and task.spent:
            say(f"seconds: {name}: {', '.join(f'{what} {seconds:.2f}' for what, seconds in task.spent.items())}")
            found["phases"] = dict(task.spent)
        if self.explain and task.photo is not None:
            y = seen(task.photo).pixels[None]
            exposure = task.photo.side.get("exposure")
            heard = evidence(y, exposure)
            found["evidence"] = [asdict(each) for each in heard]
            for each in heard:
                say(f"evidence: {name}: {each}")
            found["estimated_noise"] = estimate_noise_level(y)
            say(f"evidence: {name}: noise {found['estimated_noise']:.4f} in the flattest parts")
            if exposure is not None:
                found["exposure"] = {"light": luminance(y, exposure), "flash": exposure.flash}
                say(f"evidence: {name}: {exposure_in_words(y, exposure)}")
        return found

    def error(self, text: str, progress: ListProgress) -> None:
        """Prints an error in one line, even if ``quiet``."""
        (console.tell if self.quiet else progress.print)(f"error: {one_line(text)}")

    def summary(self, outputs: Outputs, total: int, seconds: float, board: bool, page: Path | None = None) -> None:
        """Prints the summary of a run, also of one that was stopped.

        Args:
            total: photos of the list.
            seconds: that the run took.
            board: whether TensorBoard's files were written.
            page: path of the page, if there is one.
        """
        counts = Counter(row.status for row in outputs.rows.values())
        left = total - len(outputs.rows)
        if outputs.trouble:
            console.tell(f"error: {outputs.trouble}")
        if not self.quiet:
            say = console.tell if self.json else console.show
            parts = [f"{counts[status]} {status}" for status in sorted(counts, key=_ORDER.index)]
            parts += [f"{left} not started"] if left else []
            say(f"{total} photo{'s' * (total != 1)} in {seconds:.0f} s: {', '.join(parts) or 'nothing to do'}")
            say(f"Results: {outputs.folder} ({f'to look at: {page}, ' if page else ''}table: {outputs.results})")
            if board and counts["restored"]:
                say(f"Look at the fits: tensorboard --logdir {outputs.board}")
        if self.json:
            say_object(
                "summary",
                photos=total,
                **{status: counts[status] for status in _ORDER},
                not_begun=left,
                seconds=round(seconds, 3),
                folder=str(outputs.folder),
                table=str(outputs.results),
                error=outputs.trouble,
            )


def plan_of(task: Task, steps: int) -> dict[str, Any]:
    """The settings that the photo is restored with in so many steps, by name; empty if it is not restored."""
    if task.plan is None or task.photo is None:
        return {}
    method, settings = task.plan.method, task.plan.depends.get("settings", {})
    height, width = task.photo.size
    sampling, large = method.sampling, is_large(task.photo.pixels[None], method)
    at = f"learned at {sampling.working_pixels / 1e6:.1f} megapixels, finished at full size" if large else "full size"
    return {
        "degradation": settings.get("degradation"),
        "prior": method.prior.name,
        "steps": steps,
        "sigma_max": sampling.sigma_max,
        "sigma_min": sampling.sigma_min,
        "seed": method.seed,
        "strength": task.plan.strength,
        "size": f"{width}x{height} px, {at}",
        "settings": task.row.settings,
    }


def _in_words(key: str, value: Any) -> str:
    """``Haze (strength 0.88, ...)`` for the degradation; ``seed 7`` and such for other settings of a plan."""
    if key != "degradation" or not isinstance(value, Mapping):
        return f"{key} {value}"
    options = ", ".join(f"{name} {option}" for name, option in value.get("init_args", {}).items())
    return f"{kind_of(value) or value.get('class_path', '')}{f' ({options})' if options else ''}"


def seen(photo: Photo) -> Photo:
    """The part of a photo that a fit works on: all of it, or the view of a photo with a mask; see ``masking``."""
    view = view_of(photo)
    return photo if view is None else view.photo


def say_object(kind: str, /, **fields: Any) -> None:
    """Prints one JSON object in one line of ASCII on standard output; numbers that are not finite become null."""
    console.show(json.dumps(_finite({"type": kind, **fields}), default=str, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
