"""Finds fits that have diverged: estimates that are no picture of their photo, and values that are not finite.

A value that is not finite ends the fit of its photo, even if the restored photo looks right: φ cannot learn from NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.tensors.per_image import finite

_FLAT = 1e-3  # largest standard deviation of a constant channel, in units of [0, 1]
_TELLING = 0.5  # noise level below which estimates are checked, a standard deviation in units of [0, 1]
_LOOKED_AT = 20_000  # number of values of each image that are enough for the check


def lost(y: Tensor, x: Tensor, final: bool = True) -> dict[int, str]:
    """What is wrong with each estimate that cannot be one of its photo, in words, by the photo's index.

    An estimate is lost if

    - it has values that are not finite;
    - it is constant and the photo is not (during a fit only if it is black or white, since the first estimates from
      pure noise may be gray);
    - nearly all of its values are at the ends of the range, and it has no correlation with the photo.

    Args:
        y: the photos, (B, 3, h, w) in [0, 1].
        x: the estimates, (B, 3, H, W), which may be larger; clamped to [0, 1].
        final: whether the fit has ended.
    """
    seen = _measured(y, x).tolist()  # one transfer from the device
    found = ((i, _verdict(final, *values)) for i, values in enumerate(seen))
    return {i: what for i, what in found if what}


def _measured(y: Tensor, x: Tensor) -> Tensor:
    """The arguments of ``_verdict`` for each photo, (B, 7), from about ``_LOOKED_AT`` values of each image."""
    y = as_large_as(y, (x.shape[-2], x.shape[-1]))
    stride = max(1, int((x[0].numel() / _LOOKED_AT) ** 0.5))
    whole = finite(x)
    y, x = (v[..., ::stride, ::stride].flatten(2).float().clamp(0, 1) for v in (y, x))
    clipped, already = (((v <= _FLAT) | (v >= 1 - _FLAT)).float().mean((1, 2)) for v in (x, y))
    (x_spread, a), (y_spread, b) = ((v.std(2).amax(1), v - v.mean(2, keepdim=True)) for v in (x, y))
    power = (a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt().clamp(min=1e-12)
    alike, away = (a * b).sum((1, 2)) / power, (x - y).abs().mean((1, 2))
    return torch.stack([whole.float(), x_spread, y_spread, clipped, already, alike, away], dim=1)


def _verdict(
    final: bool, whole: float, x_spread: float, y_spread: float, share: float, before: float, alike: float, away: float
) -> str:
    if not whole:
        return "the fit diverged, an estimate is not finite"
    if x_spread < _FLAT < 0.1 * y_spread and (final or share > 0.98):
        return "the fit collapsed to a constant image"
    if share > 0.98 and before < 0.5 and alike < 0.5 and away > 0.1:
        return "the fit diverged, an estimate is saturated"
    return ""


class Watchdog(Callback):
    """Ends the fit of a photo at the step at which it is ``lost``. It runs after the sampler, on the guided estimates.

    At high noise levels, an estimate may have any values without being lost: if a prior predicts the noise, a tiny
    error of it fills the range. So estimates are checked only below the noise level ``_TELLING``. Above it, only NaN
    and infinity count, and the sampler checks those.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Restoration)
        state = pl_module.state
        assert state is not None
        # Each photo has its own noise level, so each is checked by itself.
        watched = (state.noise.cpu() < _TELLING) & ~pl_module.finished
        if bool(watched.any()):
            for i, what in lost(state.y, state.x0, final=False).items():
                if watched[i]:
                    pl_module.lose(i, f"{what} at σ = {float(state.noise[i]):.3g}")


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
