"""A photo that was reduced to half its size."""

import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations import Degradation


class Halved(Degradation):
    """y = means of 2×2 pixels of x, + n."""

    def shape(self, y: Tensor) -> tuple[int, int]:
        return 2 * y.shape[-2], 2 * y.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    def invert(self, y: Tensor) -> Tensor:
        return F.interpolate(y, scale_factor=2, mode="bicubic", align_corners=False)

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        e2, s2 = error.square().view(1, 1, 1, 1), self.noise.level().square()
        moved = (y - self(x0)) * (e2 / 4) / (e2 / 4 + s2)
        return x0 + F.interpolate(moved, scale_factor=2)
