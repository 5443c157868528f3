"""What every update must keep, seen at one moment of a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from zeroair_pl.checks.losses import _images, _state
from zeroair_pl.guidance.fidelity import Fidelity
from zeroair_pl.guidance.stages import Term


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


CHECKS: list[Callable[[Any], None]] = [sound]
