"""The contract of guidance losses and of updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.checks.samples import _Blurring, photos
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.discriminator import PatchDiscriminator
from zeroair_pl.guidance.fidelity import Fidelity
from zeroair_pl.guidance.stages import Term
from zeroair_pl.tensors.per_image import build_per_image


def one_value_each(kind: Any) -> None:
    """gives one finite value for each image, and leaves the state alone"""
    loss = kind()
    state = _state(loss, *_images())
    kept = [v.clone() for v in (state.y, state.x0)]
    value = loss(state)
    assert value.shape == (2,), f"gives {tuple(value.shape)} for two images, expected (2,)"
    assert bool(torch.isfinite(value).all()), "is not finite"
    assert all(torch.equal(a, b) for a, b in zip(kept, (state.y, state.x0), strict=True)), "changes the state"


def any_batch(kind: Any) -> None:
    """gives an image the same value in any batch, to rounding"""
    loss, (y, x0) = kind(), _images()
    value, alone = loss(_state(loss, y, x0))[0], loss(_state(loss, y[:1], x0[:1]))[0]
    # Threads may share an operation in other ways for a batch, which changes the last bits.
    assert torch.allclose(value, alone, rtol=1e-5), (
        f"gives {float(alone):g} for an image alone, {float(value):g} beside another"
    )


def gradients(kind: Any) -> None:
    """has finite gradients in the clean estimate of that image, and none in others"""
    loss = kind()
    state = _state(loss, *_images())
    x0 = state.x0.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(state.at(x0))[0], x0)
    assert bool(torch.isfinite(gradient).all()), "has gradients that are not finite"
    assert float(gradient[0].abs().max()) > 0, "has no gradient in the clean estimate"
    assert float(gradient[1].abs().max()) == 0, "has a gradient in another image"


def free_of_size(kind: Any) -> None:
    """has the same value at any size of the image"""
    loss, (y, x0) = kind(), _images(64)
    small, large = loss(_state(loss, y, x0)), loss(_state(loss, _tiled(y), _tiled(x0)))
    torch.testing.assert_close(large, small, rtol=0.25, atol=2e-3)


def learns_nothing(kind: Any) -> None:
    """has no parameters of its own, since they would be neither trained nor stored"""
    loss = kind()
    loss(_state(loss, *_images()))
    learned = [name for name, p in loss.named_parameters() if p.requires_grad]
    assert not learned, f"has parameters: {', '.join(learned)}"


def sound(kind: Any) -> None:
    """gives finite clean estimates of the same size, and leaves the state alone"""
    loss = Fidelity()
    state = _state(loss, *_images())
    before = [v.clone() for v in (state.y, state.x0)]
    guided = kind()(state, [(Term(loss), 1.0)], 16)
    assert guided.x0.shape == state.x0.shape, f"gives {tuple(guided.x0.shape)} for {tuple(state.x0.shape)}"
    images = {name: getattr(guided, name) for name in ("x0", "x0_auxiliary", "shift", "shift_auxiliary")}
    tensors = {**images, **(guided.losses or {})}
    broken = [name for name, value in tensors.items() if value is not None and not bool(torch.isfinite(value).all())]
    assert not broken, f"not finite: {', '.join(broken)}"
    assert all(torch.equal(a, b) for a, b in zip(before, (state.y, state.x0), strict=True)), "changes the state"


def _images(size: int = 32) -> tuple[Tensor, Tensor]:
    clean = photos(2, size, size)
    return 0.1 + 0.6 * clean, (clean + 0.1 * clean.flip(-1)).clamp(0, 1)


def _tiled(x: Tensor) -> Tensor:
    """An image mirrored into 2×2 tiles."""
    x = torch.cat([x, x.flip(-1)], dim=-1)
    return torch.cat([x, x.flip(-2)], dim=-2)


def _state(loss: Any, y: Tensor, x0: Tensor) -> GuidanceState:
    """A moment of stage II in a fit of photos ``y`` with noise of unknown strength."""
    names = [f"photo{i}.png" for i in range(len(y))]
    phi = build_per_image(Noise, names, 0, "degradation")
    for each in phi:
        each.noise.log_sigma.data.fill_(-3.0)
    networks = {loss.name: build_per_image(PatchDiscriminator, names, 0, loss.name)} if loss.adversarial else {}
    state = GuidanceState(
        y=y, x0=x0, fraction=600 / 999, stage="II", noise=y.new_full((len(y),), 0.2),
        x0_error=y.new_full((len(y),), 0.1), degradation=phi, discriminators=networks, prior=_Blurring(),
    )  # fmt: skip
    return state.at(x0)


LOSS: list[Callable[[Any], None]] = [one_value_each, any_batch, gradients, free_of_size, learns_nothing]
UPDATE: list[Callable[[Any], None]] = [sound]
