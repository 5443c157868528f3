"""Checks for values that are not finite, in all parts of a fit.

Such a value ends the fit of the photo, even if the restored photo looks right: φ cannot learn from a loss of NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation


@torch.no_grad()
def unsound(phi: Degradation, y: Tensor | None = None) -> str:
    """The part of a degradation model that is not finite, as ``"Haze.penalty is not finite"``; empty if there is none.

    Args:
        y: the photo (1, 3, H, W), before a fit; the images that the model makes from it are then checked too.
    """
    parts: dict[str, Iterable[Tensor]] = {"parameters": phi.parameters()}
    if y is not None:
        start = phi.first_estimate(y)
        parts |= {"invert": [phi.invert(y)], "first_estimate": [start], "forward": [phi(start)]}
    parts |= {"noise_level": [phi.noise_level()], "penalty": [phi.penalty()], "diagnostics": phi.diagnostics().values()}
    found = (name for name, tensors in parts.items() if not all(map(_finite, tensors)))
    name = next(found, "")
    return f"{type(phi).__name__}.{name} is not finite" if name else ""


def not_finite(values: Mapping[str, Tensor], watched: Tensor) -> dict[int, str]:
    """The name of the first of the ``values``, (B,) each, that is not finite, by the index of the ``watched`` photo."""
    found: dict[int, str] = {}
    for name, value in values.items():
        for i in (watched & ~torch.isfinite(value.detach().cpu())).nonzero()[:, 0].tolist():
            found.setdefault(i, name)
    return found


def _finite(x: Tensor) -> bool:
    return bool(torch.isfinite(x.sum())) or bool(torch.isfinite(x).all())
