"""Small stand-ins for tests: a prior without weights, and a photo without a file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.vp import Prediction, VPPrior


class ToyPrior(VPPrior):
    """A blur that widens with the noise, shrunk as the posterior mean of a Gaussian would be.

    Linear betas from 1e-4 to 0.02 over T = 1000, as the priors that are shipped.
    """

    def __init__(self) -> None:
        self.name = "toy"
        self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        with torch.no_grad():
            alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
            noise = ((1 - alpha_bar) / alpha_bar).sqrt()
            x = x_t / alpha_bar.sqrt()
            blurred = F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
            mixed = torch.lerp(x, blurred, (noise / 0.5).clamp(max=1))
            return Prediction((mixed / (1 + noise.square() / 25)).clamp(-1, 1))

    def features(self, x: Tensor) -> list[Tensor]:
        x = 2 * x - 1
        edges = torch.cat([x[..., 1:, 1:] - x[..., 1:, :-1], x[..., 1:, 1:] - x[..., :-1, 1:]], dim=1)
        return [edges, F.avg_pool2d(x, 4, ceil_mode=True)]


def toy_photo(height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """(1, 3, H, W) in [0, 1]: coloured gradients and a few rectangles, different for every seed."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    slope = torch.rand(3, 3, generator=generator)
    photo = torch.stack([(a + b * rows + c * columns) / 3 for a, b, c in slope])
    for _ in range(6):
        top, left, tall, wide = torch.rand(4, generator=generator).tolist()
        down = slice(int(top * height), int((top + tall / 2) * height) + 1)
        across = slice(int(left * width), int((left + wide / 2) * width) + 1)
        photo[:, down, across] = torch.rand(3, 1, 1, generator=generator)
    return photo[None].clamp(0, 1)


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
