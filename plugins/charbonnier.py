"""A guidance loss outside the core, from a function of kornia."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor

from zeroair_pl.guidance import GuidanceLoss, GuidanceState
from zeroair_pl.guidance.base import per_image_mean
from zeroair_pl.ranges import Range


class Charbonnier(GuidanceLoss):
    """Robust fidelity, the mean of √(d² + 1) − 1 of differences d in units of ``scale`` (Charbonnier et al., 1994).

    d = (φ(x0) − target)/scale. Quadratic well below ``scale`` and linear above it, so that what φ cannot describe (a
    watermark, a raindrop, a saturated lamp) pulls less on the clean estimate than it would on a squared error. Times
    2·scale², so that its weight means the same as that of ``Fidelity`` for small differences.

    Args:
        scale: the difference, in units of [0, 1], from which on it counts as an outlier.
        target: compare φ(x0) with the degraded photo ``y`` or with the clean estimate ``x0``.
    """

    def __init__(self, scale: Annotated[float, Range(0, above=True)] = 0.1, target: Literal["y", "x0"] = "y") -> None:
        super().__init__()
        self.scale, self.target = scale, target

    def forward(self, state: GuidanceState) -> Tensor:
        from kornia.losses import charbonnier_loss

        target = getattr(state, self.target)
        loss = charbonnier_loss(state.y_hat / self.scale, target / self.scale, reduction="none")
        return 2 * self.scale**2 * per_image_mean(loss)
