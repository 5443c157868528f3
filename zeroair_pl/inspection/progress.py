"""Shows the progress of a run: on a terminal two bars, one for the list and one for the fit; else only lines."""

from __future__ import annotations

import threading
import time
from typing import Any, Literal, TextIO

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from zeroair_pl import console as streams
from zeroair_pl.method.restoration import Restoration

LABEL = 32  # characters of a name beside its bar


class ListProgress:
    """Progress over a list of images, on a stream that may or may not be a terminal.

        with ListProgress(len(images)) as progress:
            for image in images:
                fit(..., callbacks=[progress.image(image.name, steps)])
                progress.advance("restored")

    On a terminal and in a notebook, two bars stay below the printed lines; elsewhere there are no bars. In both cases
    each finished image gets one line, with its seconds. Threads may share the object: an image may be finished while
    the next one is being fitted.

    Args:
        total: number of images.
        stream: where to show it; by default standard error, so that standard output is free for results.

    Attributes:
        workers: number of processes that restore images of the list. It divides the estimate of the remaining time,
            since this process measures only its own fits.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total, self.done, self.workers = total, 0, 1
        self.stream = stream if stream is not None else streams.stream("stderr")
        self._lock = threading.RLock()
        self._fit: Follow | None = None
        self._past_seconds, self._past_images = 0.0, 0
        console = Console(file=self.stream)
        # rich also shows bars if FORCE_COLOR is set. Build servers set it, and a bar in a log is thousands of lines.
        live = console.is_jupyter or (self.stream.isatty() and not console.is_dumb_terminal)
        self._bars: Progress | None = None
        if live:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=console,
                transient=True,
                # rich prints a redirected stream above the bars. A stream that goes to a file is not redirected.
                redirect_stdout=console.is_jupyter or streams.stream("stdout").isatty(),
                redirect_stderr=console.is_jupyter or streams.stream("stderr").isatty(),
            )
            self._list_bar = self._bars.add_task("photos", total=total, note="")
            self._image_bar: TaskID | None = None

    def __enter__(self) -> ListProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def image(self, name: str, steps: int, images: int = 1) -> Follow:
        """A callback that follows the next fit.

        Args:
            name: of the image, or of the group.
            steps: timesteps of the fit.
            images: how many images the fit restores at once; each of them ends with an ``advance``.
        """
        with self._lock:
            self._fit = fit = Follow(self, one_line(name), steps, images)
            if self._bars is not None:
                if self._image_bar is not None:
                    self._bars.remove_task(self._image_bar)
                self._image_bar = self._bars.add_task(_ends(fit.name), total=steps, note="")
                self._show_list()
        return fit

    def advance(
        self,
        status: str = "restored",
        name: str | None = None,
        fit: Follow | Literal["last"] | None = "last",
        what: str = "",
    ) -> None:
        """Counts one image as done, and prints a line about it.

        Args:
            status: one or two words: restored, skipped, failed.
            name: of the image; by default that of the fit that has ended.
            fit: the image's fit, since another may have begun meanwhile; ``None`` if it had none.
            what: a few words on what was found in the image.
        """
        with self._lock:
            ended = self._fit if fit == "last" else fit
            self.done += 1
            words = [f"[{self.done}/{self.total}]", one_line(name) if name else ended.name if ended else "", status]
            if ended is not None:
                ended.end()
                words.append(f"in {ended.seconds() / ended.images:.1f} s")
                ended.pending -= 1
                if not ended.pending:
                    self._past_seconds += ended.seconds()
                    self._past_images += ended.images
                    if ended is self._fit:
                        self._fit = None
            line = " ".join(word for word in words if word)
            self.print(f"{line}: {one_line(what)}" if what else line)
            if self._bars is not None:
                if self._fit is None and self._image_bar is not None:
                    self._bars.remove_task(self._image_bar)
                    self._image_bar = None
                self._show_list()

    def print(self, text: str) -> None:
        """Prints a line above the bars."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)  # a file's name need not be Unicode
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            streams.write(self.stream, text)

    def remaining(self) -> float | None:
        """Estimated seconds to the end of the list, from the mean time of an image so far; ``None`` at the start."""
        seconds, images = self._past_seconds, float(self._past_images)
        left = float(self.total - self.done)
        if self._fit is not None:
            part = self._fit.share * self._fit.images
            seconds, images = seconds + self._fit.seconds(), images + part
            left -= self._fit.share * self._fit.pending
        return seconds / images * max(left, 0.0) / self.workers if images > 0 else None

    def follow(self, step: int, steps: int, note: str) -> None:
        """Shows that the present fit has done ``step`` of ``steps`` timesteps; ``note`` stands beside its bar."""
        with self._lock:
            if self._fit is None:
                return
            self._fit.share = step / max(steps, 1)
            if self._bars is not None and self._image_bar is not None:
                self._bars.update(self._image_bar, completed=step, note=note)
                self._show_list()

    @property
    def live(self) -> bool:
        """Whether there are bars."""
        return self._bars is not None

    def _show_list(self) -> None:
        assert self._bars is not None
        remaining = self.remaining()
        note = "" if remaining is None or self.done == self.total else f"{clock(remaining)} left"
        self._bars.update(self._list_bar, completed=self.done, note=note)


class Follow(Callback):
    """Follows the fit of one image or of a group, and reports its steps to the list's progress.

    Attributes:
        images, pending: how many images it fits, and how many of them are not reported yet.
        share: of its steps that is done.
    """

    def __init__(self, progress: ListProgress, name: str, steps: int, images: int) -> None:
        self.progress, self.name, self.steps = progress, name, steps
        self.images, self.pending, self.share = images, images, 0.0
        self._began, self._took = time.perf_counter(), 0.0

    def seconds(self) -> float:
        """How long the fit has taken so far, or until ``end``."""
        return self._took or time.perf_counter() - self._began

    def end(self) -> None:
        """Stops the clock: the images of a group are reported later, one by one."""
        self._took = self.seconds()

    def leave(self) -> None:
        """Takes one image out of this fit, since it is fitted again and ends with that other fit."""
        self.images -= 1
        self.pending -= 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        note = ""
        if self.progress.live and isinstance(pl_module, Restoration) and pl_module.state is not None:
            state = pl_module.state
            sigma = float(state.noise_level().detach().nanmean())
            note = f"σ {float(state.noise.max()):.3f}  stage {state.stage}  noise {sigma:.3f}"
        self.progress.follow(batch_idx + 1, self.steps, note)


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def one_line(name: str) -> str:
    """The name with ``?`` for each character that cannot be printed, such as line breaks and control codes."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _ends(name: str) -> str:
    return name if len(name) <= LABEL else f"{name[: LABEL // 2]}…{name[1 - LABEL // 2 :]}"
