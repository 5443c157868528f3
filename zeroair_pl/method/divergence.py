"""When a fit has lost its photo."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl.method.restoration import Restoration
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.tensors.per_image import finite

_FLAT = 1e-3  # standard deviation, in units of [0, 1], of a channel that shows nothing
_TELLING = 0.5  # standard deviation of the sampler's noise, in units of [0, 1]
_LOOKED_AT = 20_000  # values, of which no more are needed to see whether a picture is there


def lost(y: Tensor, x: Tensor, final: bool = True) -> dict[int, str]:
    """The estimates that cannot be of their photos any more, by their place in the group, and what is wrong with each.

    Not finite; one colour, where the photo is not (during a fit, only one at the ends of the range: from pure noise,
    the first estimates may well be grey); or nearly all values at the ends of the range, without likeness to the photo.

    Args:
        y: the photos, (B, 3, h, w) in [0, 1].
        x: the estimates, (B, 3, H, W), perhaps larger; values beyond [0, 1] count as 0 and 1.
        final: at the end of a fit.
    """
    seen = _measured(y, x).tolist()  # one transfer for all of them
    found = ((i, _verdict(final, *values)) for i, values in enumerate(seen))
    return {i: what for i, what in found if what}


def _measured(y: Tensor, x: Tensor) -> Tensor:
    """(B, 7) numbers on photos and their estimates, from ``_LOOKED_AT`` values of each."""
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
    """Ends the fit of a photo in the step in which it is lost. Runs after the sampler, so it sees the guided estimates.

    As long as x_t is nearly all noise, estimates say little: where a prior predicts the noise, its smallest error fills
    the range. Until the noise is below ``_TELLING``, only NaN and Inf count, which the sampler itself looks for.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Restoration)
        state = pl_module.state
        assert state is not None
        # Each by its own noise: one in heavy noise, where it waits for the others, must not hide what becomes of them.
        watched = (state.noise.cpu() < _TELLING) & ~pl_module.finished
        if bool(watched.any()):
            for i, what in lost(state.y, state.x0, final=False).items():
                if watched[i]:
                    pl_module.lose(i, f"{what} at σ = {float(state.noise[i]):.3g}")
