"""Counts the living processes that share one list, and decides how many photos this process may claim at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroair_pl.jobs.batches import WAITING
from zeroair_pl.jobs.claims import Claims, clock, owner


class Peers:
    """The processes that share one list, as one of them sees them.

    Each process has a claim, ``OUT/.zeroair/processes/ID.process``, that says how far it has come in the list.

    Args:
        claims: of this process.
        folder: of the records.
        key: a digest of the list and its settings: processes with the same one are peers.
        total: number of photos in the list.
        expected: ``expected()`` is the number of processes that were started for the list, this one included. Others
            that work on the same list are found in the folder.

    Attributes:
        began: start of the earliest process that shares the list now, in nanoseconds by ``claims.clock``. Files that
            are older come from earlier runs.
        living: processes that share the list, this one included, when they were last counted.
        died: one of the processes of the folder was killed.
    """

    def __init__(self, claims: Claims, folder: Path, key: str, total: int, expected: Callable[[], int]) -> None:
        self._claims, self._folder, self._key, self._total = claims, folder / "processes", key, total
        self._expected, self._passed = expected, 0
        self._me = self._folder / f"{claims.id}.process"
        self.began, self.living, self.died = 0, 1, False

    def join(self) -> None:
        """Makes the claim of this process, so that the others see it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.began = clock(self._folder)
        self._claims.take(self._me, **self._about())
        self.began = min([self.began, *(peer["began"] for peer in self.others())])
        self._claims.renew(self._me, **self._about())

    def passed(self, number: int) -> None:
        """Tells the others that this process has reached photo ``number`` of the list, counted from 1."""
        if number > self._passed:
            self._passed = number
            self._claims.renew(self._me, **self._about())

    def others(self) -> list[dict[str, Any]]:
        """The claims of the other living processes that share the list; updates ``living`` and ``died``."""
        found = []
        for path in self._folder.glob("*"):  # empty if somebody has removed the folder
            if path == self._me:
                continue
            if self._claims.take(path) is not None:
                self._claims.release(path)
                self.died = True
            elif (about := owner(path)).get("list") == self._key:
                found.append(about)
        self.living = 1 + len(found)
        return found

    def shared(self) -> bool:
        """Whether other processes share the list, or were started for it."""
        return self._left()[1] > 1

    def held(self, size: int) -> int:
        """How many photos this process may claim before it fits a batch.

        Near the end of the list this is an equal part of the photos that are left, so that no process runs idle.
        """
        left, count = self._left()
        return WAITING * size if count == 1 else max(1, min(WAITING * size, -(-left // count)))

    def ahead(self, wanted: int) -> int:
        """How many photos this process may claim while it fits others.

        At the end of the list it is 0, since another process could begin them earlier; alone it is ``wanted``.
        """
        left, count = self._left()
        return wanted if count == 1 else min(wanted, left // count)

    def _left(self) -> tuple[int, int]:
        """The number of photos that no process has reached yet, and of the processes that share them."""
        others = self.others()
        passed = max([self._passed, *(peer["passed"] for peer in others)])
        return self._total - passed, max(self.living, self._expected())

    def _about(self) -> dict[str, Any]:
        return {"began": self.began, "list": self._key, "passed": self._passed}
