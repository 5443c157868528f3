"""How many images a network may see at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WORTH = 2**18  # pixels at once, above which a CPU gains nothing any more


class Together:
    """Splits a batch into what goes through a network at once, such that no image on a CPU notices its company.

    Small images leave a CPU half idle: eight of 64×64 at once take a third of the time, four of 256×256 four fifths.
    But kernels are chosen by the size of the batch, and some of them round differently. So before a network sees 2, 4
    or 8 images of a size at once, that is tried on random ones, once: they stay together if each has the bits that it
    has alone. In bfloat16 they have; in float32, matrix products take another order. Other devices are not tried.

    Args:
        network: maps (B, 3, H, W) and timesteps (B,) to the raw outputs, which nothing has clamped yet.
    """

    def __init__(self, network: Callable[[Tensor, Tensor], Sequence[Tensor]]) -> None:
        self._network = network
        self._tried: dict[tuple[int, ...], bool] = {}

    def split(self, x: Tensor, pixels_at_once: int) -> list[int]:
        """Sizes of the parts that the batch ``x`` (B, 3, H, W) goes in: as many images as have ``pixels_at_once``."""
        height, width = x.shape[-2:]
        most = max(1, pixels_at_once // (height * width))
        if x.device.type != "cpu":
            return [len(part) for part in x.split(most)]
        most = min(most, max(1, WORTH // (height * width)))
        sizes: list[int] = []
        left = len(x)
        while left:
            size = 1 << min(left, most).bit_length() - 1  # powers of two: few sizes have to be tried
            while size > 1 and not self._unnoticed(size, height, width):
                size //= 2
            sizes.append(size)
            left -= size
        return sizes

    def _unnoticed(self, size: int, height: int, width: int) -> bool:
        key = (size, height, width, torch.get_num_threads())
        if key not in self._tried:
            x = torch.randn(size, 3, height, width, generator=torch.Generator().manual_seed(0))
            t = torch.linspace(10, 500, size, dtype=torch.float64)
            alone = [self._network(*one) for one in zip(x.split(1), t.split(1), strict=True)]
            each = zip(self._network(x, t), zip(*alone, strict=True), strict=True)
            self._tried[key] = all(torch.equal(together, torch.cat(apart)) for together, apart in each)
        return self._tried[key]
