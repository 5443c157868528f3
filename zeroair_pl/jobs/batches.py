"""Groups the photos of a list into batches that are fitted together: those of one size and one plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch

from zeroair_pl.method.large import is_large
from zeroair_pl.method.settings import Method
from zeroair_pl.photos.masking import weights
from zeroair_pl.photos.photo import Photo

if TYPE_CHECKING:
    from zeroair_pl.jobs.task import Task

BatchSize = int | Literal["auto"]
Alike = tuple[int, int, int, bool]  # height, width, which plan, and whether the photo is fitted alone

PIXELS, PHOTOS = 2**22, 64  # the most that one batch holds
BYTES = 1000  # device memory that a fit takes for each pixel of a photo; the prior works through a batch in portions
WAITING = 4  # this many batches' worth of photos may wait for others of their size
WAITING_PIXELS = 25_000_000  # the most pixels of all photos that wait


def batch_size(asked: BatchSize, photo: Photo, method: Method, device: torch.device) -> int:
    """How many photos like this one to fit at once, at least 1; see ``most_at_once``.

    It is 1 for a large photo, for a part of a photo (the view of a mask has its own size), for a degradation that is
    not ``batched``, and for a prior that is adapted to each photo.
    """
    most = most_at_once(asked, photo.pixels[0].numel(), device)
    if most == 1 or method.prior.adapt is not None or weights(photo) is not None:
        return 1
    return 1 if is_large(photo.pixels[None], method) or not method.prototype().batched else most


def most_at_once(asked: BatchSize, pixels: int, device: torch.device) -> int:
    """How many photos of so many ``pixels`` the device should fit at once, at least 1.

    On a CPU it is 1, so that a result cannot depend on the other photos of a batch. ``auto`` decides by the photos'
    size and by the free memory of a CUDA device; larger batches do not save time.
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

    A batch is ready when it is full. A list of many sizes may fill no batch for long; so when too many photos wait,
    the batch whose first photo has waited longest is ready too.

    Args:
        size: ``size(task)`` is the number of photos in a full batch of photos like this one.
        held: ``held(size)`` is the number of photos that may wait, for full batches of ``size``; by default 4 batches.
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
        """How many more photos to read for the next batch, at least 1."""
        return max(1, self._full - self.count)

    def add(self, task: Task) -> None:
        """Adds a photo that was read."""
        assert task.photo is not None
        self._full = self._size(task)
        self._waiting.append(((*task.photo.size, id(task.plan), self._full == 1), task))

    def ready(self) -> list[Task]:
        """Takes out the photos of a batch that is ready; an empty list if none is."""
        firsts = dict(reversed(self._waiting))
        for alike, count in Counter(alike for alike, _ in self._waiting).items():
            if count >= self._size(firsts[alike]):
                return self._take(alike)
        pixels = sum(height * width for (height, width, *_), _ in self._waiting)
        return self.oldest() if self.count >= self._held(self._full) or pixels > WAITING_PIXELS else []

    def oldest(self) -> list[Task]:
        """Takes out the batch whose first photo has waited longest, full or not; an empty list if no photo waits."""
        return self._take(self._waiting[0][0]) if self._waiting else []

    def _take(self, alike: Alike) -> list[Task]:
        tasks = [task for own, task in self._waiting if own == alike]
        taken = tasks[: self._size(tasks[0])]
        gone = {id(task) for task in taken}
        self._waiting = [(own, task) for own, task in self._waiting if id(task) not in gone]
        return taken
