"""One list for any number of processes: each claims the photos that it restores, in the output folder.

No process directs the others or needs them. Each goes through the list in order, skips the photos that are finished or
claimed, and at the end returns to those that the others have not finished. A photo's record says what another process
has made of it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.jobs.choices import Choice
from zeroair_pl.jobs.claims import Claims, owner
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.peers import Peers
from zeroair_pl.jobs.pipeline import restore_all
from zeroair_pl.jobs.ranks import Rank
from zeroair_pl.jobs.records import Row, digest, modified
from zeroair_pl.jobs.task import Task
from zeroair_pl.jobs.workers import Workers
from zeroair_pl.photos.source import Source

POLL = 0.5  # seconds between two checks of what other processes have done
WINDOW = 200  # such a check covers this many photos, the first of those that are not done
DEATHS = 2  # a photo has failed when this many processes have died while they had claimed it


def restore_list(
    job: Job, sources: Sequence[Source], rank: Rank, settings: str,
    progress: ListProgress, done: Callable[[Task], None], others: Callable[[Row], None],
) -> None:  # fmt: skip
    """Restores the photos of a list that no other process restores; returns when all photos are done or have failed.

    Args:
        sources: the whole list.
        rank: of this process; it starts the other processes that were asked for.
        settings: of the run, as YAML, for the other processes.
        done: ``done(task)`` is called for each photo that this process has finished, or that has failed here.
        others: ``others(row)`` is called for each photo that another process has finished, or that has failed there.

    Raises:
        ConfigError: a setting is wrong.
        KeyboardInterrupt: the run was stopped.
    """
    workers = Workers(rank, job.outputs.records.folder, settings, lambda process: share.takes_part(process))
    share = SharedList(job, sources, others, lambda: rank.size if rank.launched or rank.worker else 1 + workers.running)

    def both(task: Task) -> None:
        progress.workers = share.peers.living
        share.done(task.row)  # first, so that a kill while tables are written leaves no claim behind
        done(task)

    with share, workers:
        restore_all(job, share, progress, both, share.peers.held, share.peers.ahead)
        while share.wait(lambda line: None if workers.running else progress.print(line)):
            restore_all(job, share, progress, both, share.peers.held, share.peers.ahead)


class SharedList:
    """The list as one process sees it: iteration claims photos for this process, ``done`` releases them.

    Args:
        sources: the whole list.
        others: ``others(row)`` is called, in any thread, for each photo that another process has done.
        expected: see ``Peers``.
    """

    def __init__(
        self, job: Job, sources: Sequence[Source], others: Callable[[Row], None], expected: Callable[[], int]
    ) -> None:
        self._job, self._sources, self._others = job, sources, others
        self._outputs, self._sidecars = job.outputs, job.outputs.records
        chosen = {name: choice.kept() for name, choice in job.chosen.items()}
        self._run = digest({**job.plans.of(Choice()).depends, "chosen": chosen})
        photos = [(source.name, os.path.realpath(source.path)) for source in sources]
        key = digest({"run": self._run, "photos": photos, "overwrite": job.overwrite})
        self._claims = Claims()
        self.peers = Peers(self._claims, self._sidecars.folder, key, len(sources), expected)
        self._open = {source.name: source for source in sources}  # photos that are not done
        self._kept: list[Source] = []  # photos that ``wait`` has claimed
        self._lock, self._over = threading.RLock(), threading.Event()
        self._trouble: BaseException | None = None
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> SharedList:
        self.peers.join()
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        if kind is not None:
            with contextlib.suppress(Exception):
                self._look()  # workers may have finished photos after they were asked to end
        self.peers.others()
        if self.peers.died:
            self._outputs.clear_leftovers()
        self._claims.close()
        if kind is None and self._trouble is not None:
            raise self._trouble

    def __iter__(self) -> Iterator[Source]:
        """Claims and gives the photos of the list one by one, without those that other processes have."""
        while self._kept:
            yield self._kept.pop()
        for number, source in enumerate(self._sources, 1):
            taken = self._take(source)
            self.peers.passed(number)
            if taken:
                yield source

    def done(self, row: Row) -> None:
        """Records that a claimed photo is done, and releases its claim; a failure is written for other processes."""
        source = self._open[row.name]
        if row.status == "failed":
            self._outputs.fail(row, source.path, self._run)
        with contextlib.suppress(OSError):
            if row.status != "failed":
                self._sidecars.path(row.name, ".failed").unlink(missing_ok=True)
            if row.status == "skipped" and self.peers.shared():  # the new date tells others that it is finished
                os.utime(self._sidecars.path(row.name))
        with self._lock:
            self._open.pop(row.name, None)
        self._claims.release(self._claim(row.name))

    def wait(self, note: Callable[[str], None]) -> bool:
        """Whether there is a photo left to claim. While other processes have claimed all that are left, it waits.

        Args:
            note: ``note(line)`` shows that it waits.
        """
        said = False
        for source in list(self._open.values()):
            if self._claim(source.name) in self._claims:
                self._open.pop(source.name)  # claimed, but never done; ``restore`` reports photos without a row
        while self._open:
            for source in list(self._open.values()):
                if self._take(source):
                    self._kept.append(source)
                    return True
            if (left := list(self._open)) and not said:
                said = True
                note(f"note: {_waiting([self._claim(name) for name in left])}")
            if left:
                self._over.wait(POLL)
        return False

    def takes_part(self, process: int) -> bool:
        """Whether the process with this id has begun to share the list."""
        return any(peer["pid"] == process for peer in self.peers.others())

    def _claim(self, name: str) -> Path:
        return self._sidecars.path(name, ".claim")

    def _take(self, source: Source) -> bool:
        """Claims a photo, unless it is done or another process has it; returns whether it did."""
        path, began = self._claim(source.name), self.peers.began
        with self._lock:
            if self._settled(source) or (before := self._claims.take(path, began=began)) is None:
                return False
            deaths = before.get("deaths", 0) + 1 if before.get("began") == began else 0
            if deaths:  # a process of this run has died
                self._claims.renew(path, began=began, deaths=deaths)
            row = self._row(source)  # another process may have finished it just before we claimed it
            if row is None and deaths < DEATHS:
                return True
            if row is None:
                reason = f"{deaths} processes ended while they restored it; run it again to try once more."
                row = Row(source.name, str(source.path), reason=f"{source.path}: {reason}")
                self._outputs.fail(row, source.path, self._run)
            self._open.pop(source.name)
            self._claims.release(path)
        self._others(row)
        return False

    def _settled(self, source: Source) -> bool:
        """Whether a photo is done or claimed by this process. Reports it if another process has just done it."""
        path = self._claim(source.name)
        with self._lock:
            if source.name not in self._open or path in self._claims:
                return True
            if (row := self._row(source)) is None:
                return False
            self._open.pop(source.name)
            if path.exists() and self._claims.take(path) is not None:
                self._claims.release(path)  # left over from a process that was killed after it had finished the photo
        self._others(row)
        return True

    def _row(self, source: Source) -> Row | None:
        """The row of a photo that another process has done since this run began; ``None`` if none has."""
        photo, began = os.path.realpath(source.path), self.peers.began
        if modified(self._sidecars.path(source.name, ".failed")) > began:
            failure = self._sidecars.read(source.name, ".failed")
            if failure is not None and (failure.depends.get("run"), failure.photo) == (self._run, photo):
                return failure.row
        if modified(self._sidecars.path(source.name)) <= began:
            return None
        record = self._sidecars.read(source.name)
        if record is None or record.photo != photo:
            return None
        if not self._outputs.finished(record, self._job.settings_of(source, record)):
            return None
        made = os.stat(self._outputs.folder / record.row.output).st_ctime_ns > began
        if self._job.overwrite and not made:
            return None
        return replace(record.row, input=str(source.path), status=record.row.status if made else "skipped")

    def _watch(self) -> None:
        try:
            while not self._over.wait(POLL):
                if self.peers.shared():
                    self._look()
        except BaseException as error:
            self._trouble = error

    def _look(self) -> None:
        for source in list(self._open.values())[:WINDOW]:
            self._settled(source)


def _waiting(claims: list[Path]) -> str:
    who = sorted({f"process {claim['pid']} on {claim['host']}" for claim in map(owner, claims) if claim})
    number = f"{len(claims)} photo{'s are' if len(claims) > 1 else ' is'}"
    return f"{number} left, which others work on ({', '.join(who[:3]) or 'just ended'}); waiting for them"
