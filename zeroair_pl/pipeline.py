"""Reading, fitting and writing at once: while a photo is fitted, the next is decoded and the last encoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from zeroair_pl.images import Source
from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.job import Job, Task

LARGE = 25_000_000  # pixels of a photo that is alone in memory


def restore_all(
    job: Job, sources: Iterable[Source], progress: ListProgress, done: Callable[[Task], None], ahead: bool = True
) -> None:
    """Takes photos from file to file, in the order of the list.

    At most three are in memory, one with a large one. Whatever ends the run, what was fitted by then is written.

    Args:
        sources: the photos; each is asked for when its time has come.
        ahead: the next photo is taken and decoded during a fit. Where others could take it, this waits.
        done: is told of each photo that has come to its end, in the order of the list, in the thread that writes.

    Raises:
        ConfigError: a setting proved wrong.
        KeyboardInterrupt: the run was stopped.
    """

    def finish(task: Task) -> None:
        job.write(task)
        done(task)

    todo = iter(sources)
    written: Future[None] | None = None
    with Worker("read") as reader, Worker("write") as writer:

        def read_next() -> Future[Task] | None:
            following = next(todo, None)
            return None if following is None else reader.submit(job.read, following)

        try:
            coming = read_next()
            while coming is not None:
                task, coming = coming.result(), None
                alone = task.photo is not None and task.photo.pixels[0].numel() > LARGE
                if alone and written is not None:
                    written.result()
                if ahead and not alone:
                    coming = read_next()
                job.fit(task, progress)
                if written is not None:
                    written.result()
                written = writer.submit(finish, task)
                if alone:
                    written.result()
                del task
                if alone or not ahead:
                    coming = read_next()
        finally:
            if written is not None:
                written.result()


class Worker:
    """A thread that does one thing after the other. It dies with the program, so that what hangs in it holds up nobody,
    as one of ``concurrent.futures`` would."""

    def __init__(self, name: str) -> None:
        self._todo: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._todo.put(None)
        self._thread.join(timeout=None if kind is None else 1)  # seconds

    def submit(self, function: Callable[..., Any], *values: Any) -> Future[Any]:
        """Asks for ``function(*values)``, whose outcome the future will have, an exception included."""
        future: Future[Any] = Future()
        self._todo.put((future, function, values))
        return future

    def _work(self) -> None:
        while (item := self._todo.get()) is not None:
            future, function, values = item
            try:
                future.set_result(function(*values))
            except BaseException as error:
                future.set_exception(error)
            del item, future, function, values  # or a photo stays in memory until the next one comes
