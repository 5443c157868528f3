"""When a fit has lost its photo, and from which settings to try once more."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.updates import GradientUpdate
from zeroair_pl.restoration import Restoration

if TYPE_CHECKING:
    from zeroair_pl.fit import Method

SAFER = 0.1  # of the learning rate and of the guidance's scale
_FLAT = 1e-3  # standard deviation, in units of [0, 1], of a channel that shows nothing
_TELLING = 0.5  # standard deviation of the sampler's noise, in units of [0, 1]
_LOOKED_AT = 250_000  # values, of which no more are needed to see whether a picture is there


def check(y: Tensor, x: Tensor, names: list[str], when: str = "") -> None:
    """Raises for estimates that cannot be of their photos any more.

    Not finite; one colour, where the photo is not (during a fit, only one at the ends of the range: from pure noise,
    the first estimates may well be grey); or nearly all values at the ends of the range, without likeness to the photo.

    Args:
        y: the photos, (B, 3, H, W) in [0, 1].
        x: the estimates, (B, 3, H, W); values beyond [0, 1] count as 0 and 1.
        names: of the photos.
        when: a moment during a fit; none is its end.

    Raises:
        DivergenceError: naming the first such photo.
    """
    for name, photo, estimate in zip(names, y, x, strict=True):
        if (what := _lost(photo, estimate, final=not when)) is not None:
            raise DivergenceError(f"{name}: {what}{when and ' at ' + when}")


def _lost(y: Tensor, x: Tensor, final: bool) -> str | None:
    if not bool(torch.isfinite(x).all()):
        return "the fit diverged, an estimate is not finite"
    stride = max(1, int((x.numel() / _LOOKED_AT) ** 0.5))
    y, x = y[:, ::stride, ::stride].flatten(1).float(), x[:, ::stride, ::stride].flatten(1).float().clamp(0, 1)
    clipped, already = (((v <= _FLAT) | (v >= 1 - _FLAT)).float().mean() for v in (x, y))
    a, b = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    likeness = (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt().clamp(min=1e-12)
    # One transfer for all of them: on an accelerator each float() would wait for it.
    values = (x.std(1).max(), y.std(1).max(), clipped, already, likeness, (x - y).abs().mean())
    x_spread, y_spread, share, before, alike, away = torch.stack(values).tolist()
    if x_spread < _FLAT < 0.1 * y_spread and (final or share > 0.98):
        return "the fit collapsed to a constant image"
    if share > 0.98 and before < 0.5 and alike < 0.5 and away > 0.1:
        return "the fit diverged, an estimate is saturated"
    return None


class Watchdog(Callback):
    """Ends a fit in the step in which it loses a photo. Runs after the sampler, so it sees the guided estimates.

    As long as x_t is nearly all noise, estimates say little: where a prior predicts the noise, its smallest error fills
    the range. Until the noise is below ``_TELLING``, only NaN and Inf count, which the sampler itself looks for.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Restoration)
        state = pl_module.state
        assert state is not None
        if float(state.noise.max()) < _TELLING:
            check(state.y, state.x0, pl_module.names, f"t = {state.t:.0f}")


def safer(method: Method) -> tuple[Method, str]:
    """The same with smaller steps and exact arithmetic, and what that is in words."""
    words = ["a tenth of the learning rate"]
    guidance, prior = method.guidance, method.prior
    if isinstance(guidance.update, GradientUpdate):
        update = copy.copy(guidance.update)
        update.scale *= SAFER
        guidance = replace(guidance, update=update)
        words.append("a tenth of the guidance's scale")
    if getattr(prior, "precision", torch.float32) is not torch.float32:
        prior = copy.copy(prior)  # with the same network
        prior.precision = torch.float32  # type: ignore[attr-defined]
        words.append("float32 arithmetic")
    modelling = replace(method.modelling, lr=SAFER * method.modelling.lr)
    return replace(method, modelling=modelling, guidance=guidance, prior=prior), ", ".join(words)
