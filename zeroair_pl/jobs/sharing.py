"""Hands the list of photos out to several processes, one photo at a time, and brings their rows together.

The ranks of a launch meet at a ``torch.distributed`` key-value store. A counter in it says which photo is next, so that
a slow photo or rank holds nobody up. What is finished is in the sidecars, as ever: a rank that dies costs what it was
at, and a later launch restores that.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from torch.distributed import PrefixStore, TCPStore

from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.ranks import Rank
from zeroair_pl.jobs.records import Row
from zeroair_pl.photos.finding import Source

BEAT = 1.0  # seconds between two signs of life
SILENT = 120.0  # seconds without one, after which a rank counts as dead
ABSENT = 30.0  # seconds that rank 0, when all is done, leaves to a rank that never came
MEETING = 300.0  # seconds that a rank waits for rank 0
ENDING = 60.0  # seconds that a rank has to write what it has, once it is asked to end

_rounds = itertools.count()  # of this process: the ranks of a launch go through the same ones


class Share:
    """The list as one rank sees it: iterating takes photos, ``tell`` says what became of one.

    Args:
        rank: this process.
        sources: the whole list.
        key: a digest of all that the ranks must agree upon.

    Raises:
        ConfigError: rank 0 cannot be reached, or the ranks have different lists or settings.
    """

    def __init__(self, rank: Rank, sources: Sequence[Source], key: str) -> None:
        self.rank, self.sources = rank, sources
        self._index = {source.name: i for i, source in enumerate(sources)}
        self._ended = threading.Event()
        try:
            # Where rank 0 has a new port for each list, the ranks that it starts are there for this one alone.
            store, number = (_meet_again(rank), next(_rounds)) if rank.port else (_meet(rank), 0)
            self.port, self.store = store.port, PrefixStore(f"zeroair/{rank.attempt}/{number}", store)
            if rank.number == 0:
                self.store.set("list", key)
            agreed = self.store.get("list").decode()
            self.store.set(f"came/{rank.number}", "1")
        except RuntimeError as error:
            raise ConfigError(
                f"rank {rank.number}: cannot meet rank 0 at {rank.address}:{rank.port} "
                f"({str(error).splitlines()[0]}); it may have ended."
            ) from error
        if agreed != key:
            self.store.set(f"left/{rank.number}", "1")
            raise ConfigError(f"rank {rank.number}: has other photos or settings than rank 0.")
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def __iter__(self) -> Iterator[Source]:
        while True:
            with self._gone():
                if (index := self.store.add("next", 1) - 1) >= len(self.sources):
                    return
                self.store.set(f"taken/{index}", str(self.rank.number))
            yield self.sources[index]

    def fair(self, batch: int) -> int:
        """How many photos this rank may hold before it fits them: at the end of the list, no more than its part."""
        with self._gone():
            left = max(0, len(self.sources) - self.store.add("next", 0))
        return max(1, min(batch, -(-left // self.rank.size)))

    def tell(self, row: Row) -> None:
        """This rank is done with a photo."""
        with self._gone():
            self.store.set(f"row/{self._index[row.name]}", json.dumps(asdict(row)))

    def leave(self) -> None:
        """This rank takes no more photos."""
        self._ended.set()
        with contextlib.suppress(RuntimeError):  # rank 0 may be gone
            self.store.set(f"left/{self.rank.number}", "1")

    @contextlib.contextmanager
    def _gone(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise ConfigError(
                f"rank {self.rank.number}: rank 0 is gone; the same command finishes the rest."
            ) from error

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                self.store.add(f"beat/{self.rank.number}", 1)
            except RuntimeError:
                if not self._ended.is_set():
                    os.kill(os.getpid(), signal.SIGTERM)  # nobody is there to be told of what this rank does
                return


class Gathering:
    """Rank 0's view of all ranks: starts them where nobody else has, and is told of each photo that they are done with.

    Args:
        share: rank 0's own.
        config: the settings for the ranks that it starts.
        done: takes the row of each photo that another rank was at, in a thread of its own.
    """

    def __init__(self, share: Share, config: Path, done: Callable[[Row], None]) -> None:
        self._share, self._store, self._done = share, share.store, done
        self._others = range(1, share.rank.size)
        self._children = share.rank.start_others(config, share.port)
        self._open: set[int] = set()  # photos that were taken, and not heard of since
        self._seen = 0
        self._beats: dict[int, tuple[int, float]] = {}
        self._began = time.monotonic()
        self._stop, self._stopped = threading.Event(), False
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="gather", daemon=True)

    def __enter__(self) -> Gathering:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the others; if this rank was stopped, they are too."""
        try:
            if kind is None:
                began = time.monotonic()
                while self._thread.is_alive() and not self._complete(began):
                    time.sleep(0.05)
                for rank, child in self._children.items():
                    if not self._store.check([f"came/{rank}"]):
                        child.kill()  # it came too late for any photo
                ended(self._children)
            else:
                self._stopped = True  # what they leave undone is not begun, as it is for this rank
                ended(self._children, signal.SIGTERM)
        finally:
            self._stop.set()
            self._thread.join()
            with contextlib.suppress(RuntimeError):
                self._poll()
            self._share.leave()
        if kind is None and self._trouble is not None:
            raise self._trouble

    def _complete(self, began: float) -> bool:
        """All rows are here, and nobody still needs the store."""
        with contextlib.suppress(RuntimeError):
            if self._open or self._seen < len(self._share.sources):
                return False
            return all(
                self._store.check([f"left/{rank}"])
                or self._dead(rank)
                or (
                    not self._store.check([f"came/{rank}"])
                    and (rank in self._children or time.monotonic() - began > ABSENT)
                )
                for rank in self._others
            )
        return True

    def _watch(self) -> None:
        try:
            while not self._stop.wait(0.1):
                self._poll()
        except BaseException as error:
            self._trouble = error

    def _poll(self) -> None:
        total, sources = min(self._store.add("next", 0), len(self._share.sources)), self._share.sources
        self._open.update(range(self._seen, total))
        self._seen = total
        for index in sorted(self._open):
            holder = int(self._store.get(f"taken/{index}")) if self._store.check([f"taken/{index}"]) else None
            dead = holder is not None and holder != 0 and self._dead(holder)  # asked first: its row may just have come
            if self._store.check([f"row/{index}"]):
                row = Row(**json.loads(self._store.get(f"row/{index}")))
                self._store.delete_key(f"row/{index}")
            elif not self._stopped and (dead or (holder is None and self._long_nobodys(index))):
                source = sources[index]
                reason = f"{source.path}: rank {holder} ended before it was finished; the same command restores it."
                row = Row(source.name, str(source.path), reason=reason)
            else:
                continue
            self._store.delete_key(f"taken/{index}")
            if holder != 0:
                self._done(row)
            self._open.discard(index)

    def _long_nobodys(self, index: int) -> bool:
        """Its rank died between two words with the store; as with silence, time tells."""
        return self._quiet(-1 - index, 0)

    def _dead(self, rank: int) -> bool:
        if rank in self._children:
            return self._children[rank].poll() is not None
        return self._store.check([f"came/{rank}"]) and self._quiet(rank, self._store.add(f"beat/{rank}", 0))

    def _quiet(self, key: int, beat: int) -> bool:
        now = time.monotonic()
        last, since = self._beats.get(key, (-1, now))
        if beat != last:
            last, since = beat, now
        self._beats[key] = (last, since)
        return now - since > SILENT


@contextlib.contextmanager
def neighbours(share: Share, config: Path) -> Iterator[None]:
    """The other ranks of a node that is not rank 0's, which its first rank starts, and ends if it is stopped."""
    children = share.rank.start_others(config, share.port)
    try:
        yield
    except BaseException:
        ended(children, signal.SIGTERM)
        raise
    ended(children)


def ended(children: Mapping[int, subprocess.Popen[bytes]], signum: int | None = None) -> None:
    """Waits for processes that were started here, after it sends them a signal."""
    for child in children.values():
        if signum is not None and child.poll() is None:
            child.send_signal(signum)
    until = time.monotonic() + ENDING
    for child in children.values():
        try:
            child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _meet(rank: Rank) -> TCPStore:
    timeout = timedelta(seconds=MEETING)
    host = rank.number == 0 and not rank.agent
    return TCPStore(rank.address, rank.port, None, host, timeout=timeout, wait_for_workers=False)


_meet_again = functools.cache(_meet)
