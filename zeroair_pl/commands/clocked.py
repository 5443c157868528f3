"""``restore --verbose``: with which settings a photo is restored, and how long each step takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.jobs.choices import kind_of
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.records import Row
from zeroair_pl.jobs.task import Task
from zeroair_pl.method.large import is_large
from zeroair_pl.photos.finding import Source
from zeroair_pl.priors.base import Prior


@dataclass(frozen=True)
class Clocked(Job):
    """A job that measures the seconds of each step.

    On an accelerator, the seconds of the prior end when its work is queued, and not when it is done.

    Attributes:
        spent: seconds by the photo's name and by step: ``read``, ``fit``, ``prior`` (a part of ``fit``) and ``write``.
            The seconds of a batch are divided by its photos.
    """

    spent: dict[str, dict[str, float]] = field(default_factory=dict)

    def read(self, source: Source) -> Task:
        with clock(self.spent.setdefault(source.name, {}), "read"):
            return super().read(source)

    def fit(self, tasks: Sequence[Task], progress: ListProgress) -> None:
        together: dict[str, float] = {}
        prior = tasks[0].plan.method.prior if tasks[0].plan is not None else None
        with clock(together, "fit"), prior_clock(prior, together):
            super().fit(tasks, progress)
        for task in tasks:
            own = self.spent.setdefault(task.source.name, {})
            own |= {what: seconds / len(tasks) for what, seconds in together.items()}

    def write(self, task: Task) -> Row:
        with clock(self.spent.setdefault(task.source.name, {}), "write"):
            return super().write(task)


@contextmanager
def clock(spent: dict[str, float], what: str) -> Iterator[None]:
    """Adds the seconds that the block takes to ``spent[what]``."""
    began = time.perf_counter()
    try:
        yield
    finally:
        spent[what] = spent.get(what, 0.0) + time.perf_counter() - began


@contextmanager
def prior_clock(prior: Prior | None, spent: dict[str, float]) -> Iterator[None]:
    """Within the block, adds the seconds inside ``prior.denoise`` to ``spent["prior"]``."""
    if prior is None or "denoise" in vars(prior):
        yield
        return
    inner = prior.denoise

    def denoise(*args: Any, **kwargs: Any) -> Any:
        with clock(spent, "prior"):
            return inner(*args, **kwargs)

    prior.denoise = denoise  # type: ignore[method-assign]
    try:
        yield
    finally:
        del prior.denoise


def plan_of(task: Task, steps: int) -> dict[str, Any]:
    """The settings that the photo is restored with, by name; empty if it is not restored.

    Args:
        task: after ``Job.read``.
        steps: timesteps of a fit.
    """
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


def plan_in_words(plan: Mapping[str, Any]) -> str:
    """A plan as one line: ``Haze (strength 0.88, ...); prior small; ...``"""
    words = []
    for key, value in plan.items():
        if key == "degradation":
            value = value or {}
            options = ", ".join(f"{name} {option}" for name, option in value.get("init_args", {}).items())
            words.append(f"{kind_of(value) or value.get('class_path', '')}{f' ({options})' if options else ''}")
        else:
            words.append(f"{key} {value}")
    return "; ".join(words)


def seconds_in_words(spent: Mapping[str, float]) -> str:
    """The seconds of one photo as one line: ``read 0.02, fit 0.98 (prior 0.76), write 0.11``"""
    words = [f"{what} {spent[what]:.2f}" for what in ("read", "fit", "write") if what in spent]
    if "prior" in spent and "fit" in spent:
        words = [f"{word} (prior {spent['prior']:.2f})" if word.startswith("fit ") else word for word in words]
    return ", ".join(words)
