"""Total variation: the paper's loss on fine detail."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState, per_image_mean


class TotalVariation(GuidanceLoss):
    """Squared total variation of the clean estimate, mean (∂_h x0)² + mean (∂_w x0)², normalized by element count."""

    def forward(self, state: GuidanceState) -> Tensor:
        x = state.x0
        vertical = (x[..., 1:, :] - x[..., :-1, :]).square()
        horizontal = (x[..., :, 1:] - x[..., :, :-1]).square()
        return per_image_mean(vertical) + per_image_mean(horizontal)
