"""Restores photos: as a whole in one fit, or large ones in two parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zeroair_pl.method.fit import fit
from zeroair_pl.method.large import fit_large, is_large
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.tensors.modes import own_modes

if TYPE_CHECKING:
    from lightning.pytorch import Callback


def solve(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback] = (),
    trainer: dict[str, Any] | None = None,
) -> Result:
    """Restores B photos of one size, in the way that their size asks for; arguments and errors are those of ``fit``."""
    with own_modes():
        return (fit_large if is_large(y, method) else fit)(y, names, method, callbacks, trainer)
