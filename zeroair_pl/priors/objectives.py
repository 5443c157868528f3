"""Losses for a denoiser on one noisy image, without a clean one.

Each takes a denoiser f(x, σ) of images (1, 3, h, w) at levels (1,), an image z = x_0 + ε·n, ε of the same shape, and a
generator; it gives a scalar. s is the largest finite ε. Where ε < s, noise is added, as f takes one level for an image;
where ε is infinite, the error does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Objective = Literal["recorrupted", "sure"]
Estimate = Callable[[Tensor, Tensor], Tensor]

MORE = 1.25  # recorrupted: variance of the noise on x, in units of s²
STEP = 0.05  # sure: step of the difference quotient, in units of s


def recorrupted(f: Estimate, z: Tensor, epsilon: Tensor, generator: torch.Generator) -> Tensor:
    """‖f(z + τn) − (z − (ε²/τ)n)‖² with τ² = 1.25·s² − ε²: two copies of z whose noises are independent.

    Its mean is the error at the level √1.25·s, plus the variance of the second noise (Pang et al., CVPR 2021).
    """
    known, epsilon, s = _told(epsilon)
    variance = MORE * s.square()
    added = (variance - epsilon.square()).sqrt()
    noise = _normal(z, generator)
    target = z - epsilon.square() / added * noise
    return _mean((f(z + added * noise, variance.sqrt()[None]) - target).square(), known)


def sure(f: Estimate, z: Tensor, epsilon: Tensor, generator: torch.Generator) -> Tensor:
    """‖f(x) − x‖² + 2s²·div f(x), div f ≈ ⟨b, f(x + hb) − f(x)⟩/h with a random b ~ N(0, I).

    Its mean is the error at the level s, plus s² (Stein, 1981; Ramani, Blu & Unser, TIP 2008).
    """
    error, divergence = stein(f, z, epsilon, generator)
    return error + divergence


def stein(f: Estimate, z: Tensor, epsilon: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """‖f(x) − x‖² and 2s²·div f(x), the two terms of ``sure``, scalars. The second grows with s², if ε is too large."""
    known, epsilon, s = _told(epsilon)
    x = z + (s.square() - epsilon.square()).clamp(min=0).sqrt() * _normal(z, generator)
    probe, step, level = _normal(z, generator), STEP * s, s[None]
    x0 = f(x, level)
    divergence = probe * (f(x + step * probe, level) - x0) / step
    return _mean((x0 - x).square(), known), 2 * s.square() * _mean(divergence, known)


def correlation(f: Estimate, z: Tensor, epsilon: Tensor) -> Tensor:
    """The correlation of neighbors in what f takes away, (z − f(z))/ε: 0 for white noise, up to 1 for coarse grain."""
    known, epsilon, s = _told(epsilon)
    taken = known * (z - f(z, s[None])) / epsilon
    shared = (taken[..., 1:] * taken[..., :-1]).sum() + (taken[..., 1:, :] * taken[..., :-1, :]).sum()
    return shared / (2 * taken.square().sum()).clamp(min=1e-12)


def _told(epsilon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """1 where ε is finite and 0 elsewhere; ε, with s where it is infinite; s."""
    known = epsilon.isfinite()
    s = epsilon[known].max()
    return known.to(epsilon), torch.where(known, epsilon, s), s


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


LOSSES: dict[Objective, Callable[[Estimate, Tensor, Tensor, torch.Generator], Tensor]] = {
    "recorrupted": recorrupted,
    "sure": sure,
}
