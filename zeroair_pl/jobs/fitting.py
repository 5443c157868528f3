"""Fits photos: in a batch, in halves where a batch fails, once more with smaller steps where a fit diverges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from zeroair_pl.errors import ConfigError, DivergenceError, describe
from zeroair_pl.jobs.retry import safer
from zeroair_pl.jobs.task import Task, own_fault
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.method.solve import solve
from zeroair_pl.photos.masking import view_of, weights
from zeroair_pl.tensors.memory import is_out_of_memory, release

if TYPE_CHECKING:
    from lightning.pytorch import Callback

Watch = Callable[[Sequence[Task], bool], AbstractContextManager[Sequence["Callback"]]]


@contextmanager
def unwatched(tasks: Sequence[Task], again: bool) -> Iterator[Sequence[Callback]]:
    """No callbacks."""
    yield []


def _nothing(_: Any) -> None:
    pass


@dataclass(frozen=True)
class Fitting:
    """How photos are fitted, whatever they come from and go to.

    Args:
        trainer: further arguments of ``lightning.Trainer``.
        watch: ``watch(tasks, again)`` gives the callbacks of one attempt; ``again`` if the first has diverged.
        say: is told what is done otherwise than asked.
        forget: removes what an attempt left for its continuation.
        strict: raise what goes wrong with a photo, in the place of putting its reason into the row.
    """

    trainer: dict[str, Any] = field(default_factory=dict)
    watch: Watch = unwatched
    say: Callable[[str], None] = _nothing
    forget: Callable[[Task], None] = _nothing
    strict: bool = False

    def fit(self, tasks: Sequence[Task]) -> None:
        """Restores photos of one size and plan. Each task has its result then, or the reason why there is none.

        Raises:
            ConfigError: a setting proved wrong.
        """
        masked = [task.photo is not None and weights(task.photo) is not None for task in tasks]
        if len(tasks) < 2 or any(masked):  # what is seen of a masked photo has a size of its own
            for task, alone in zip(tasks, masked, strict=True):
                if alone or len(tasks) < 2:
                    self._alone(task)
            if others := [task for task, alone in zip(tasks, masked, strict=True) if not alone and len(tasks) > 1]:
                self.fit(others)
            return
        reason = ""
        lost: dict[int, str] = {}
        try:
            result, note = self._once(tasks)
            lost = result.lost
        except ConfigError:
            raise
        except Exception as error:  # of one of them, or of all at once: each half finds out for itself
            lost = error.lost if isinstance(error, DivergenceError) else {}
            if len(lost) < len(tasks):
                reason = "memory ran out" if is_out_of_memory(error) else f"one of them fails ({describe(error)})"
        if reason:
            release()
            self.forget(tasks[0])
            half = len(tasks) // 2
            self.say(f"note: a batch of {len(tasks)} photos is divided: {reason}")
            for part in (tasks[:half], tasks[half:]):
                self.fit(part)
            return
        for i, task in enumerate(tasks):
            if i in lost:
                self._alone(task, lost[i])
            else:
                task.fitted(result.of(i), note)

    def _alone(self, task: Task, reason: str = "") -> None:
        """A fit of this photo alone; with a ``reason``, its first has diverged."""
        with nullcontext() if self.strict else own_fault(task):
            if not reason:
                try:
                    result, note = self._once([task])
                except DivergenceError as error:
                    reason = str(error)
            if reason:
                self.forget(task)
                assert task.plan is not None
                method, words = safer(task.plan.method)
                self.say(f"note: {reason}; once more with {words}")
                try:
                    result, note = self._once([task], method)
                except DivergenceError as error:
                    raise DivergenceError(f"{reason}; and once more with {words}") from error
                note = "; ".join(filter(None, [reason, f"made with {words}", note]))
            task.fitted(result, note)
        if task.photo is None:  # it failed; a later run is to begin anew
            self.forget(task)

    def _once(self, tasks: Sequence[Task], other: Method | None = None) -> tuple[Result, str]:
        """A result for all of them, by their plan or another method, and what was done otherwise for it."""
        plan = tasks[0].plan
        assert plan is not None
        method = other or plan.method
        whole = [task.photo for task in tasks if task.photo is not None]
        view = view_of(whole[0]) if len(whole) == 1 else None
        photos = whole if view is None else [view.photo]
        prior, tiling = method.prior, method.prior.tiling
        with self.watch(tasks, other is not None) as callbacks:
            try:
                # The files' own names, which are the same however they were listed: they decide the random numbers.
                files = [task.source.path.name for task in tasks]
                one = len(photos) == 1  # no copy of a large photo
                y = photos[0].pixels[None] if one else torch.stack([photo.pixels for photo in photos])
                result = solve(y, files, method, callbacks, self.trainer, [photo.side for photo in photos])
                if view is not None:
                    maps = [view.maps(result.diagnostics[0])]
                    result = replace(result, restored=view.over(result.restored), diagnostics=maps)
                now = prior.tiling
                if (
                    tiling is None
                    or now is None
                    or (now.side, now.pixels_at_once) == (tiling.side, tiling.pixels_at_once)
                ):
                    return result, ""
                if len(tasks) > 1:  # smaller tiles change a result, and it must not depend on the batch
                    raise MemoryError("the prior would need smaller tiles")
                note = f"memory ran out: the prior saw tiles of at most {now.side} px"
                self.say(f"note: {', '.join(files)}: {note}")
                return result, note
            finally:
                prior.tiling = tiling  # the size of one photo must not change the results of others
