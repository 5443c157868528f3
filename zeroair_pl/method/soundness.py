"""Checks for values that are not finite, in all parts of a fit.

Such a value ends the fit of the photo, even if the restored photo looks right: φ cannot learn from a loss of NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.tensors.per_image import finite

if TYPE_CHECKING:
    from zeroair_pl.method.restoration import Restoration


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


def lose_not_finite(module: Restoration, values: Mapping[str, Tensor], what: str) -> None:
    """Ends the fit of each photo for which one of the ``values``, (B,) each, is not finite.

    Args:
        what: the value in a sentence, with ``{}`` for its name.

    Raises:
        DivergenceError: all photos have diverged.
    """
    assert module.state is not None
    watched = ~module.finished
    for name, value in values.items():
        for i in (watched & ~torch.isfinite(value.detach().cpu())).nonzero()[:, 0].tolist():
            sigma = float(module.state.noise[i])
            module.lose(i, f"the fit diverged, {what.format(name)} is not finite at σ = {sigma:.3g}")


def only_finite(x: Tensor, module: Restoration, sigma: Tensor, what: str) -> Tensor:
    """Ends the fits whose estimates ``x`` (K·B, 3, H, W) are not finite, and replaces estimates of diverged photos.

    The photo itself takes the place of its estimate.

    Raises:
        DivergenceError: all photos have diverged.
    """
    good = finite(x).view(-1, len(module.y)).all(0).cpu()
    for i in (~good).nonzero()[:, 0].tolist():
        module.lose(i, f"the fit diverged, {what} is not finite at σ = {float(sigma[i]):.3g}")
    if not module.lost:
        return x
    x = x.clone()
    for i in module.lost:
        x[i :: len(module.y)] = as_large_as(module.y[i], (x.shape[-2], x.shape[-1]))
    return x


def _finite(x: Tensor) -> bool:
    return bool(torch.isfinite(x.sum())) or bool(torch.isfinite(x).all())
