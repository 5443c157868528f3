"""One photo in a run: what is known about it so far, and which errors make only this photo fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zeroair_pl.degradations import Degradation
from zeroair_pl.degradations.auto import UNSEEN
from zeroair_pl.errors import ConfigError, DivergenceError, InputError, describe, show
from zeroair_pl.inspection.progress import Follow
from zeroair_pl.jobs.choices import Choice, Plan
from zeroair_pl.jobs.records import Record, Row
from zeroair_pl.method.settings import Result
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.source import Source
from zeroair_pl.tensors.memory import is_out_of_memory, release


@dataclass
class Task:
    """One photo in a run, from reading to writing.

    Attributes:
        source: where the photo comes from.
        row: what is known about it so far. Its status is ``failed``, with a reason, as soon as an error ends its way.
        depends: all that its result depends on.
        photo, path: the decoded photo, and the file to write; ``None`` if it is finished or has failed.
        choice: its own settings.
        plan: how it is restored with these settings.
        before: the record of an earlier run.
        result: of its fit.
        full: the bytes of the restored file at strength 1, if an earlier fit has made it.
        steps: of a chain, the bytes of the photo after each of its links, for a strength of each kind.
        unchanged: no degradation was found, and the photo stays as it is.
        follow: the callback that followed its fit.
        notes: problems with its pictures, which do not make the photo fail.
        shown: what the page of the folder shows of it.
        spent: the seconds of its steps ``read``, ``fit`` and ``write``; those of a batch are divided by its photos.
    """

    source: Source
    row: Row
    depends: dict[str, Any] = field(default_factory=dict)
    photo: Photo | None = None
    path: Path | None = None
    choice: Choice = field(default_factory=Choice)
    plan: Plan | None = None
    before: Record | None = None
    result: Result | None = None
    full: bytes | None = None
    steps: list[bytes] = field(default_factory=list)
    unchanged: bool = False
    follow: Follow | None = None
    notes: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def clock(self, what: str) -> Iterator[None]:
        """Adds the seconds that the block takes to ``spent[what]``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[what] = time.perf_counter() - began

    @property
    def to_fit(self) -> bool:
        """Whether it was read, and still needs a fit."""
        return self.photo is not None and self.full is None

    def fitted(self, result: Result, note: str) -> None:
        """Stores the result of its fit, and fills the row; ``note`` says where the fit departs from the settings."""
        phi = result.phi[0]
        self.unchanged = phi.untouched
        if self.unchanged and self.photo is not None:
            result = replace(result, restored=self.photo.pixels[None])
        self.result = result
        sigma = float(result.noise_level[0])
        self.row = replace(
            self.row,
            note="; ".join(filter(None, [note, "" if self.unchanged else self._lost()])),
            kind="" if self.unchanged else phi.kind,
            amount=float(phi.amount) if phi.reason and not self.unchanged else None,
            found=found_in_words(phi, sigma),
            noise_level=sigma,
            nfe=result.nfe[0],
            seconds=result.seconds,
        )

    def no_copy(self) -> str:
        """A note that the file of an unchanged photo is no exact copy, and which metadata it has lost."""
        assert self.photo is not None
        return "; ".join(filter(None, [f"no copy: written as {self.photo.format}", self._lost()]))

    def _lost(self) -> str:
        lost = self.photo.metadata.lost if self.photo is not None else ()
        return f"not kept: {', '.join(lost)}" if lost else ""


def found_in_words(phi: Degradation, sigma: float) -> str:
    """What was found, in words; ``sigma`` is the noise level, in units of [0, 1]."""
    noise = f"noise of {255 * sigma:.1f} of 255"
    if phi.untouched:  # of the families, only ``Auto`` asks that the noise is faint
        return f"nothing but {noise}, which cannot be seen" if sigma <= UNSEEN else f"no {phi.kind} found; {noise}"
    return phi.reason or noise


@contextmanager
def fails_alone(task: Task) -> Iterator[None]:
    """Within it, an error fails only this photo, and becomes the reason in its row; a ``ConfigError`` is raised."""
    reason, unexpected = "", False
    try:
        yield
    except ConfigError:  # the settings are wrong, so every other photo would fail too
        raise
    except (InputError, DivergenceError) as error:
        show(error)
        reason = str(error)
    except Exception as error:
        what, unexpected = describe(error), True
        if is_out_of_memory(error):
            what = f"memory ran out ({what}); lower prior.pixels_at_once, prior.tile or sampling.working_pixels."
        reason = f"{task.source.path}: {what}"
    if reason:
        task.row = replace(task.row, status="failed", reason=reason)
        task.photo = task.result = task.full = None
    if unexpected:
        release()  # what the failed fit held
