"""Families whose noise level stays as it was after the first look at the photo: an ablation of learning it."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.degradations import Degradation, Denoise, Side


def held(family: type[Degradation]) -> str:
    """The import path of a class like ``family``, but for its noise level, which is not learned."""

    def initialize(self: Degradation, y: Tensor, side: Side, denoise: Denoise) -> None:
        family.initialize(self, y, side, denoise)
        self.noise.log_sigma.requires_grad_(False)

    name = f"Held{family.__name__}"
    if name not in globals():
        globals()[name] = type(name, (family,), {"initialize": initialize, "__module__": __name__})
    return f"{__name__}.{name}"
