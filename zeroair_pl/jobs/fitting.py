"""Fits photos in batches. A batch that fails is divided; a fit that diverges is repeated with smaller steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from zeroair_pl.errors import ConfigError, DivergenceError, describe
from zeroair_pl.jobs.task import Task, fails_alone
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.method.solve import solve
from zeroair_pl.photos.masking import view_of
from zeroair_pl.tensors.memory import is_out_of_memory, release

if TYPE_CHECKING:
    from lightning.pytorch import Callback

SAFER = 0.1  # of the learning rate and of the guidance's scale, in a second attempt
Watch = Callable[[Sequence[Task], bool], AbstractContextManager[Sequence["Callback"]]]


@dataclass(frozen=True)
class Fitting:
    """Fits photos that are already decoded, and writes no file itself.

    Args:
        trainer: further arguments of ``lightning.Trainer``.
        watch: ``watch(tasks, again)`` gives the callbacks of one attempt; ``again`` if the first has diverged.
        say: ``say(line)`` shows where a fit departs from what was asked for, such as a batch that is divided.
        forget: ``forget(task)`` removes the checkpoint of an attempt.
        strict: raise the error of a photo, instead of putting the reason into its row.
    """

    trainer: dict[str, Any] = field(default_factory=dict)
    watch: Watch = lambda tasks, again: nullcontext([])
    say: Callable[[str], None] = lambda line: None
    forget: Callable[[Task], None] = lambda task: None
    strict: bool = False

    def fit(self, tasks: Sequence[Task]) -> None:
        """Restores photos of one size and plan. Then each task has its result, or the reason why there is none."""
        if len(tasks) < 2:
            for task in tasks:
                self._alone(task)
            return
        reason = ""
        lost: dict[int, str] = {}
        try:
            result, note = self._once(tasks)
            lost = result.lost
        except ConfigError:
            raise
        except Exception as error:  # the cause may be one photo or the size of the batch; fitting halves tells
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
        """Fits this photo alone. A ``reason`` says that a fit of it has diverged already."""
        with nullcontext() if self.strict else fails_alone(task):
            if not reason:
                try:
                    result, note = self._once([task])
                except DivergenceError as error:
                    reason = str(error)
            if reason:
                self.forget(task)
                assert task.plan is not None
                method, words = safer(task.plan.method)
                self.say(f"note: {reason}; trying again with {words}")
                try:
                    result, note = self._once([task], method)
                except DivergenceError as error:
                    raise DivergenceError(f"{reason}; and again with {words}") from error
                note = "; ".join(filter(None, [reason, f"made with {words}", note]))
            task.fitted(result, note)
        if task.photo is None:  # it failed; a later run must start from the beginning
            self.forget(task)

    def _once(self, tasks: Sequence[Task], other: Method | None = None) -> tuple[Result, str]:
        """The result of all tasks, by their plan or another method, and a note on where the fit departs from it."""
        plan = tasks[0].plan
        assert plan is not None
        method = other or plan.method
        whole = [task.photo for task in tasks if task.photo is not None]
        view = view_of(whole[0]) if len(whole) == 1 else None
        photos = whole if view is None else [view.photo]
        prior, tiling = method.prior, method.prior.tiling
        with self.watch(tasks, other is not None) as callbacks:
            try:
                # The names seed the random numbers. A file's own name is the same however the file was listed.
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
                if len(tasks) > 1:  # smaller tiles change a result, and a result must not depend on the batch
                    raise MemoryError("the prior would need smaller tiles")
                note = f"memory ran out: the prior saw tiles of at most {now.side} px"
                self.say(f"note: {', '.join(files)}: {note}")
                return result, note
            finally:
                prior.tiling = tiling  # the size of one photo must not change the results of others


def safer(method: Method) -> tuple[Method, str]:
    """The method for a second attempt: smaller steps and float32 arithmetic; and these changes in words."""
    words = ["a tenth of the learning rate"]
    guidance, prior = method.guidance, method.prior
    if guidance.update is not None and (gentler := guidance.update.gentler(SAFER)) is not None:
        guidance = replace(guidance, update=gentler)
        words.append("a tenth of the guidance's scale")
    if (exact := prior.to_float32()) is not None:
        prior = exact
        words.append("float32 arithmetic")
    modeling = replace(method.modeling, lr=SAFER * method.modeling.lr)
    return replace(method, modeling=modeling, guidance=guidance, prior=prior), ", ".join(words)
