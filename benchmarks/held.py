"""Families whose noise level is not learned: an ablation."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.degradations import Degradation, Denoise, Side


def held(family: type[Degradation]) -> str:
    """The import path of a subclass of ``family`` whose noise level keeps its start."""

    def initialize(self: Degradation, y: Tensor, side: Side, denoise: Denoise) -> None:
        family.initialize(self, y, side, denoise)
        self.noise.log_sigma.requires_grad_(False)

    name = f"Held{family.__name__}"
    if name not in globals():
        globals()[name] = type(name, (family,), {"initialize": initialize, "__module__": __name__})
    return f"{__name__}.{name}"
