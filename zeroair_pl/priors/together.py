"""How many images a network may see at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor

WORTH = 2**18  # pixels at once, above which a CPU gains nothing any more
PATIENCE = 2  # times that a size of a batch is asked for before it is tried: a trial takes the time of some passes


class Together:
    """Splits a batch into what goes through a network at once, such that no image on a CPU notices its company.

    Small images leave a CPU half idle: eight of 64×64 at once take a third of the time, four of 256×256 four fifths.
    But kernels are chosen by the size of the batch, and some of them round differently. So before a network sees 2, 4
    or 8 images of a size at once, that is tried on random ones, once: they stay together if each has the bits that it
    has in half of the company, and alone in the end. In bfloat16 they have. In float32 matrix products take another
    order, and a network of which two images notice each other is not tried again. Other devices are not tried at all.

    Args:
        network: maps (B, 3, H, W) and timesteps (B,) to the raw outputs, which nothing has clamped yet.
        multiple: height and width are padded to a multiple of this; images of one padded size are alike.
        patience: how often a size is asked for before it is tried.
    """

    def __init__(
        self, network: Callable[[Tensor, Tensor], Sequence[Tensor]], multiple: int = 1, patience: int = PATIENCE
    ) -> None:
        self._network, self._multiple, self._patience = network, multiple, patience
        self._tried: dict[tuple[int, ...], bool] = {}
        self._asked: Counter[tuple[int, ...]] = Counter()
        self._noticed = False

    def split(self, x: Tensor, pixels_at_once: int) -> list[int]:
        """Sizes of the parts that the batch ``x`` (B, 3, H, W) goes in: as many images as have ``pixels_at_once``."""
        height, width = x.shape[-2:]
        most = max(1, pixels_at_once // (height * width))
        if x.device.type != "cpu":
            return [len(part) for part in x.split(most)]
        most = min(most, max(1, WORTH // (height * width)))
        height, width = (-(-length // self._multiple) * self._multiple for length in (height, width))
        sizes: list[int] = []
        unnoticed = cache(partial(self._unnoticed, height=height, width=width))  # a batch asks once for each size
        left = len(x)
        while left:
            size = 1 << min(left, most).bit_length() - 1  # powers of two: few sizes have to be tried
            while not unnoticed(size):
                size //= 2
            sizes.append(size)
            left -= size
        return sizes

    def _unnoticed(self, size: int, height: int, width: int) -> bool:
        if size == 1:
            return True
        key = (size, height, width, torch.get_num_threads())
        if key in self._tried:
            return self._tried[key]
        self._asked[key] += 1
        if self._noticed or self._asked[key] <= self._patience:
            return False
        self._asked[(size // 2, *key[1:])] = self._patience  # which comes first
        self._tried[key] = self._unnoticed(size // 2, height, width) and self._agrees(size, height, width)
        self._noticed |= size == 2 and not self._tried[key]
        return self._tried[key]

    def _agrees(self, size: int, height: int, width: int) -> bool:
        x = torch.randn(size, 3, height, width, generator=torch.Generator().manual_seed(0))
        t = torch.linspace(10, 500, size, dtype=torch.float64)
        halves = [self._network(*half) for half in zip(x.split(size // 2), t.split(size // 2), strict=True)]
        each = zip(self._network(x, t), zip(*halves, strict=True), strict=True)
        return all(torch.equal(together, torch.cat(apart)) for together, apart in each)
