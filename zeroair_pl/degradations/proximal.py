"""The most probable clean image given a clean estimate and the photo, for any differentiable φ."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, func

Forward = Callable[[Tensor], Tensor]


def pointwise_proximal(forward: Forward, x0: Tensor, y: Tensor, e2: Tensor, variance: Tensor, steps: int = 2) -> Tensor:
    """argmin_x ‖x − x0‖²/(2e²) + ‖y − φ(x)‖²/(2σ²) for a φ with a diagonal Jacobian J, by Gauss–Newton:

        x ← x + ((x0 − x)/e² + J(y − φ(x))/σ²) / (1/e² + J²/σ²)

    Args:
        forward: φ.
        x0, y: the clean estimate and the photo, (1, 3, H, W).
        e2, variance: e² and σ², in shapes that broadcast to these; σ² is infinite where y has no information.
        steps: iterations; 1 is exact for an affine φ.
    """
    x = x0
    for _ in range(steps):
        y_hat, transposed = _vjp(forward, x)
        (gain,) = transposed(torch.ones_like(y_hat))
        x = x + ((x0 - x) / e2 + gain * (y - y_hat) / variance) / (1 / e2 + gain.square() / variance)
    return x


def pointwise_slope(forward: Forward, x: Tensor) -> Tensor:
    """√(mean (∂φ/∂x)²) over the values of ``x`` (B, 3, H, W), a scalar; for a φ with a diagonal Jacobian."""
    y_hat, transposed = _vjp(forward, x)
    (gain,) = transposed(torch.ones_like(y_hat))
    return gain.square().mean().sqrt()


def conjugate_proximal(
    forward: Forward, x0: Tensor, y: Tensor, e2: Tensor, variance: Tensor, steps: int = 1, inner: int = 10
) -> Tensor:
    """The same as ``pointwise_proximal`` for any φ. Each Gauss–Newton step solves by conjugate gradients

        (1/e² + Jᵀσ⁻²J) d = (x0 − x)/e² + Jᵀσ⁻²(y − φ(x)),    x ← x + d.

    Args:
        steps: Gauss–Newton iterations; 1 is enough for an affine φ.
        inner: conjugate gradient steps in each iteration. The system is well conditioned if e is small relative to σ.
    """
    x = x0
    for _ in range(steps):
        y_hat, transposed = _vjp(forward, x)
        at = x
        # J d is the derivative of the linear map u -> Jᵀu. This second reverse pass works for any differentiable
        # family, also if its operations have no forward-mode rule.
        _, jacobian = _vjp(partial(_transposed, forward, at), torch.zeros_like(y_hat))

        def normal(d: Tensor, jacobian: Any = jacobian, transposed: Any = transposed) -> Tensor:
            (jd,) = jacobian(d)
            (jt_jd,) = transposed(jd / variance)
            return d / e2 + jt_jd

        (pull,) = transposed((y - y_hat) / variance)
        x = x + conjugate_gradients(normal, (x0 - x) / e2 + pull, inner)
    return x


def conjugate_gradients(normal: Forward, b: Tensor, steps: int) -> Tensor:
    """Solves normal(d) = b for d, from d = 0; ``normal`` is symmetric positive definite, b and d are (1, C, H, W)."""
    d, r, p = torch.zeros_like(b), b, b
    rr = (r * r).sum()
    for _ in range(steps):
        ap = normal(p)
        alpha = rr / (p * ap).sum().clamp(min=1e-20)
        d, r = d + alpha * p, r - alpha * ap
        rr, before = (r * r).sum(), rr
        p = r + rr / before.clamp(min=1e-20) * p
    return d


def _transposed(forward: Forward, x: Tensor, u: Tensor) -> Tensor:
    """Jᵀu at x."""
    return _vjp(forward, x)[1](u)[0]


def _vjp(forward: Forward, x: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor]]]:
    """φ(x), and the function u -> Jᵀu."""
    found: Any = func.vjp(forward, x)
    return found[0], found[1]
