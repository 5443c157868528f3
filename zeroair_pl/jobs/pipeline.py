"""Reads, fits and writes at the same time: while photos are fitted, the next are decoded and the last encoded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.jobs.batches import Batches
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.task import Task
from zeroair_pl.photos.source import Source

LARGE = 25_000_000  # pixels from which on no other photos are kept in memory
BEHIND = 100  # photos that may wait to be written


def restore_all(
    job: Job,
    sources: Iterable[Source],
    progress: ListProgress,
    done: Callable[[Task], None],
    held: Callable[[int], int] | None = None,
    ahead: Callable[[int], int] = lambda wanted: wanted,
) -> None:
    """Restores photos from file to file: one by one, in the order of the list, or in batches of one size.

    Memory holds at most three batches and the photos that wait for others of their size; or one large photo. Photos
    that are fitted are written, even if an error or Ctrl-C ends the run. A run that ends without an exception has
    called ``done`` exactly once for each photo.

    Args:
        sources: the photos. The next one is taken from the iterator only when it is to be read.
        done: is called with each photo that is finished or has failed, in the thread that writes.
        held: see ``Batches``.
        ahead: ``ahead(wanted)`` is how many of the ``wanted`` next photos may be read during a fit.

    Raises:
        ConfigError: a setting is wrong.
        KeyboardInterrupt: the run was stopped.
    """
    todo, batches = iter(sources), Batches(job.batch, held)
    writing: deque[Future[None]] = deque()
    reading: Future[list[Task]] | None = None

    def read(count: int) -> list[Task]:
        tasks: list[Task] = []
        while len(tasks) < count and _pixels(tasks) <= LARGE and (source := next(todo, None)) is not None:
            tasks.append(job.read(source))
        return tasks

    def finish(task: Task) -> None:
        job.write(task)
        done(task)

    with Worker("read") as reader, Worker("write") as writer:

        def write(tasks: Sequence[Task]) -> None:
            wait(BEHIND)
            writing.extend(writer.submit(finish, task) for task in tasks)

        def wait(behind: int = 0) -> None:
            while len(writing) > behind:
                writing.popleft().result()

        try:
            while True:
                while not (batch := batches.ready()):
                    tasks, reading = (reading or reader.submit(read, 1)).result(), None
                    if not tasks:
                        batch = batches.oldest()
                        break
                    write([task for task in tasks if not task.to_fit])  # finished or fitted before, or unreadable
                    for task in tasks:
                        if task.to_fit:
                            batches.add(task)
                    del tasks, task
                if not batch:
                    break
                alone = _pixels(batch) > LARGE
                if alone:
                    wait()
                elif reading is None and (count := ahead(batches.wanted)):  # an earlier read may still be open
                    reading = reader.submit(read, count)
                job.fit(batch, progress)
                wait()
                write(batch)
                if alone:
                    wait()
                del batch
        finally:
            wait()


def _pixels(tasks: Iterable[Task]) -> int:
    return sum(task.photo.pixels[0].numel() for task in tasks if task.photo is not None)


class Worker:
    """A thread that does one thing after the other.

    It is a daemon thread: if it hangs, the program can still end. A thread of ``concurrent.futures`` would keep it.
    """

    def __init__(self, name: str) -> None:
        self._todo: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._todo.put(None)
        self._thread.join(timeout=None if kind is None else 1)  # seconds

    def submit(self, function: Callable[..., Any], *values: Any) -> Future[Any]:
        """Queues ``function(*values)``; the future gets its result or its exception."""
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
            del item, future, function, values  # otherwise a photo stays in memory until the next one comes
