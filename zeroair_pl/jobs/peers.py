"""The living processes that share one list, as one of them sees them, and how many photos each may hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroair_pl.jobs.batches import WAITING
from zeroair_pl.jobs.claims import Claims, clock, owner


class Peers:
    """Each process has a claim of its own, ``OUT/.zeroair/processes/ID.process``, that says how far it has come.

    Args:
        claims: of this process.
        folder: of the records.
        key: a digest of the list and its settings: processes with the same one are peers.
        total: photos of the list.
        expected: how many processes share the list, as far as this one knows; more are found.

    Attributes:
        began: when the first of the processes began that share the list now; nanoseconds, see ``claims.clock``. What
            is older was there before.
        living: processes that share the list, this one included, when they were last counted.
        died: one of the processes of the folder was killed.
    """

    def __init__(self, claims: Claims, folder: Path, key: str, total: int, expected: Callable[[], int]) -> None:
        self._claims, self._folder, self._key, self._total = claims, folder / "processes", key, total
        self._expected, self._passed = expected, 0
        self._me = self._folder / f"{claims.id}.process"
        self.began, self.living, self.died = 0, 1, False

    def join(self) -> None:
        """Lets the others know of this process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.began = clock(self._folder)
        self._claims.take(self._me, **self._about())
        self.began = min([self.began, *(peer["began"] for peer in self.others())])
        self._claims.renew(self._me, **self._about())

    def passed(self, number: int) -> None:
        """This process has come to that many photos of the list."""
        if number > self._passed:
            self._passed = number
            self._claims.renew(self._me, **self._about())

    def others(self) -> list[dict[str, Any]]:
        """What the other processes that share the list say of themselves."""
        found = []
        for path in self._folder.glob("*"):  # of nothing, if somebody has removed the folder
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
        """Whether others share the list, or are about to."""
        return self._left()[1] > 1

    def held(self, size: int) -> int:
        """How many photos this process may have claimed before it fits them: at the end of the list, its part."""
        left, count = self._left()
        return WAITING * size if count == 1 else max(1, min(WAITING * size, -(-left // count)))

    def ahead(self, wanted: int) -> int:
        """How many photos this process may claim during a fit: none that another could begin earlier."""
        left, count = self._left()
        return wanted if count == 1 else min(wanted, left // count)

    def _left(self) -> tuple[int, int]:
        """Photos that nobody has come to yet, and processes that share them."""
        others = self.others()
        passed = max([self._passed, *(peer["passed"] for peer in others)])
        return self._total - passed, max(self.living, self._expected())

    def _about(self) -> dict[str, Any]:
        return {"began": self.began, "list": self._key, "passed": self._passed}
