"""The paper's degradation model: a small convolutional network without assumptions about the degradation."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.ranges import Range


class Neural(Degradation):
    """Four convolutions at full resolution, not residual, fresh for each photo (ZeroAIR, arXiv 2312.02197).

    φ(x) has convolutions of 3→64→128→256 channels (3×3) and 256→3 (1×1), LeakyReLU(0.01) between them, and a linear
    output: 371,587 parameters. The weights start from Kaiming-normal random numbers, the biases from zero.

    Args:
        widths: channels of the hidden layers.
    """

    def __init__(self, widths: Annotated[tuple[int, ...], Range(1)] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.LeakyReLU(0.01)]
            before = width
        self.net = nn.Sequential(*layers, nn.Conv2d(before, 3, 1))
        for module in self.net:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
