"""Small stand-ins for tests: a prior without weights, and a photo without a file."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.checks.samples import _Blurring, toy_photo
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.vp import Prediction

__all__ = ["Small", "Stopping", "ToyPrior", "toy_photo"]


class ToyPrior(_Blurring):
    """A blur that widens with the noise, with the schedule of the priors that are shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "toy"


class Small(UNetPrior):
    """The bundled prior on a device whose memory ends at ``limit`` pixels at once."""

    def __init__(self, limit: int = 80**2, pixels_at_once: int = 2**14) -> None:
        super().__init__(pixels_at_once=pixels_at_once)
        self.limit, self.most = limit, 0

    def _network(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
        if x_t[:, 0].numel() > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\n(...)")
        self.most = max(self.most, x_t[:, 0].numel())
        return super()._network(x_t, t)


class Stopping(ToyPrior):
    """Presses Ctrl-C at one of its predictions."""

    stop = 0
    seen = 0

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        type(self).seen += 1
        if self.seen == self.stop:
            raise KeyboardInterrupt
        return super().predict(x_t, t)
