"""Which photos of a list are fitted together: photos of one size and one plan, up to a size of a batch that pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from zeroair_pl.jobs.task import Task

BatchSize = int | Literal["auto"]
Alike = tuple[int, int, int]  # height, width, and which plan

PIXELS, PHOTOS = 2**22, 64  # of a batch
BYTES = 1000  # of a device's memory, for each pixel of a photo in a fit; the prior takes its part in portions
WAITING = 4  # batches that may wait for more photos of their size
WAITING_PIXELS = 25_000_000


def batch_size(asked: BatchSize, pixels: int, device: torch.device) -> int:
    """Photos of that many pixels to fit at once; ``auto`` goes by their size, and by the memory that is free.

    On a CPU one at a time, whatever is asked: a result is then the same in any batch by construction.
    """
    if device.type == "cpu":
        return 1
    if asked != "auto":
        return asked
    most = min(PHOTOS, PIXELS // pixels)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        most = min(most, free // 2 // (BYTES * pixels))
    return max(1, most)


class Batches:
    """Photos that wait for others of their size. Sizes are not mixed: padding would have to be kept out of every sum.

    A batch is ready when it is full; or when too many photos wait, which is true of a list of many sizes: then the one
    whose first photo has waited longest.

    Args:
        size: how many photos such as this one make a full batch.
        held: at most so many photos may wait, as things are; by default, a few batches.
    """

    def __init__(self, size: Callable[[Task], int], held: Callable[[int], int] | None = None) -> None:
        self._size, self._held = size, held or (lambda size: WAITING * size)
        self._waiting: list[tuple[Alike, Task]] = []  # in the order in which they came
        self._full = 1

    @property
    def count(self) -> int:
        """Photos that wait."""
        return len(self._waiting)

    @property
    def wanted(self) -> int:
        """Photos that the next batch may take beside those that wait."""
        return max(1, self._full - self.count)

    def add(self, task: Task) -> None:
        """A photo that was read."""
        assert task.photo is not None
        self._full = self._size(task)
        self._waiting.append(((*task.photo.size, id(task.plan)), task))

    def ready(self) -> list[Task]:
        """A batch that is to be fitted now, or none of them."""
        firsts = dict(reversed(self._waiting))
        for alike, count in Counter(alike for alike, _ in self._waiting).items():
            if count >= self._size(firsts[alike]):
                return self._take(alike)
        pixels = sum(height * width for (height, width, _), _ in self._waiting)
        return self.oldest() if self.count >= self._held(self._full) or pixels > WAITING_PIXELS else []

    def oldest(self) -> list[Task]:
        """The batch whose first photo has waited longest, full or not; none if no photo waits."""
        return self._take(self._waiting[0][0]) if self._waiting else []

    def _take(self, alike: Alike) -> list[Task]:
        tasks = [task for own, task in self._waiting if own == alike]
        taken = tasks[: self._size(tasks[0])]
        gone = {id(task) for task in taken}
        self._waiting = [(own, task) for own, task in self._waiting if id(task) not in gone]
        return taken
