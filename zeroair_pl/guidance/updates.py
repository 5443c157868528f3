"""Steps of guidance on the clean estimate: the paper's gradient step, and the proximal step, which needs no scale."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Observation
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.fidelity import Likelihood, pointwise_gain
from zeroair_pl.guidance.stages import Term
from zeroair_pl.ranges import Range, Ranged

REFERENCE_ELEMENTS = 3 * 256 * 256  # the image size at which the paper's guidance scales are stated


class Guided(NamedTuple):
    """The result of one guidance step; images are (B, 3, H, W) in [0, 1].

    Attributes:
        x0: the guided clean estimate, which the sampler steps from.
        x0_auxiliary: the same for the auxiliary map, if there is one.
        shift, shift_auxiliary: what to add to x_{t−1} after the sampler's step, on the [-1, 1] scale.
        observation: φ⁻¹ of the photo, if the update has computed it.
        losses: the unweighted value of each loss that acted, (B,), for logs.
    """

    x0: Tensor
    x0_auxiliary: Tensor | None = None
    shift: Tensor | None = None
    shift_auxiliary: Tensor | None = None
    observation: Observation | None = None
    losses: dict[str, Tensor] | None = None


class GuidanceUpdate(Ranged, ABC):
    """Moves the clean estimate to a lower guidance loss."""

    def gentler(self, factor: float) -> GuidanceUpdate | None:
        """The same with a smaller step, for a fit that has diverged; ``None`` if it has no step size."""
        return None

    @abstractmethod
    def __call__(self, state: GuidanceState, terms: list[tuple[Term, float]], steps: int) -> Guided:
        """One guidance step.

        Args:
            state: the state, with the prior's unguided estimates; ``x0_auxiliary`` is guided too if it is there.
            terms: the losses that act in this stage, and their current weights.
            steps: number of timesteps of a full schedule at this spacing.
        """


class GradientUpdate(GuidanceUpdate):
    """The paper's guidance: a step against the gradient of the weighted losses at the clean estimate,

        x0' = x0 − s·∇L(x0)    or, on the posterior's mean,    x_{t−1}' = x_{t−1} − s·∇L(x0).

    The losses are means over N elements, so ∇L shrinks with the image. It is multiplied by N/196608, which keeps the
    meaning that s has at 256×256 at every size; on the mean it is also multiplied by 1000/steps.

    Args:
        scale: s, in units of the [-1, 1] range (25000 haze, 50000 low light, 6000 noise in the paper).
        on: move the clean ``estimate``, or the sampler's posterior ``mean`` as the paper does.
    """

    def __init__(
        self, scale: Annotated[float, Range(0)] = 25000.0, on: Literal["estimate", "mean"] = "estimate"
    ) -> None:
        self.scale, self.on = scale, on

    def gentler(self, factor: float) -> GuidanceUpdate:
        return GradientUpdate(factor * self.scale, self.on)

    def __call__(self, state: GuidanceState, terms: list[tuple[Term, float]], steps: int) -> Guided:
        variables = [v for v in (state.x0, state.x0_auxiliary) if v is not None]
        if not terms:
            return Guided(state.x0, state.x0_auxiliary)
        scale = self.scale * state.x0[0].numel() / REFERENCE_ELEMENTS
        with torch.enable_grad():
            signed = [(2 * v - 1).detach().requires_grad_() for v in variables]
            moment = state.at(*((v + 1) / 2 for v in signed))
            energy, losses = _energy(moment, terms)
            # The auxiliary map has a zero gradient for losses of the guided map only.
            moves = [-scale * g for g in torch.autograd.grad(energy, signed, materialize_grads=True)]
        if self.on == "mean":
            shifts = [move * 1000 / steps for move in moves]
            second = shifts[1] if len(shifts) > 1 else None
            return Guided(state.x0, state.x0_auxiliary, shifts[0], second, losses=losses)
        moved = [v + move / 2 for v, move in zip(variables, moves, strict=True)]
        return Guided(moved[0], moved[1] if len(moved) > 1 else None, losses=losses)


class ProximalUpdate(GuidanceUpdate):
    """Data consistency as the most probable clean image between the prior and the photo,

        x0' = argmin_x ‖x − x0‖²/(2e²) + ‖y − φ(x)‖²/(2σ²),

    with e the prior's measured error at t and σ the learned noise: no scale to set. It is the degradation's own
    ``proximal``. All other losses then move x0' against their gradient, preconditioned by the variance that is left,
    P = (1/e² + J²/σ²)⁻¹.

    Args:
        trust: multiplies e²: above 1 leans to the photo, below 1 to the prior.
    """

    def __init__(self, trust: Annotated[float, Range(0, above=True)] = 1.0) -> None:
        self.trust = trust

    def __call__(self, state: GuidanceState, terms: list[tuple[Term, float]], steps: int) -> Guided:
        error = self.trust**0.5 * state.x0_error
        with torch.no_grad():
            solved = [
                state.degradation.call("proximal", x0, state.y, error)
                for x0 in (state.x0, state.x0_auxiliary)
                if x0 is not None
            ]
        x, losses = descend(state, solved[0], terms, lambda x: self._left(state, x, error))
        return Guided(x.clamp(0, 1), solved[1].clamp(0, 1) if len(solved) > 1 else None, losses=losses)

    def _left(self, state: GuidanceState, x: Tensor, error: Tensor) -> Tensor:
        gain = pointwise_gain(state.degradation, x)
        noise = state.noise_level().detach()[:, None, None, None]
        e2 = error.square()[:, None, None, None]
        return e2 / (1 + e2 * (gain / noise).square() * state.degradation.pointwise)


def descend(
    state: GuidanceState, x: Tensor, terms: list[tuple[Term, float]], variance: Callable[[Tensor], Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """x − P·∇(N·Σ w L), one step preconditioned by the ``variance`` P at x, and the losses L.

    The likelihood is left out, since the closed form includes it.
    """
    others = [(term, weight) for term, weight in terms if not isinstance(term.loss, Likelihood)]
    if not others:
        return x, {}
    with torch.enable_grad():
        v = x.detach().requires_grad_()
        energy, losses = _energy(state.at(v), others)
        (gradient,) = torch.autograd.grad(energy * x[0].numel(), v)
    return x - variance(x) * gradient, losses


def _energy(moment: GuidanceState, terms: list[tuple[Term, float]]) -> tuple[Tensor, dict[str, Tensor]]:
    """Σ w L over the terms and images, and the losses L, (B,) each, without gradient."""
    values = [term.loss(moment) for term, _ in terms]
    total = torch.stack([weight * value for value, (_, weight) in zip(values, terms, strict=True)]).sum()
    losses: dict[str, Tensor] = {}
    for value, (term, _) in zip(values, terms, strict=True):
        taken = sum(re.fullmatch(rf"{term.name}(_\d+)?", name) is not None for name in losses)  # one loss, two targets
        losses[f"{term.name}_{taken + 1}" if taken else term.name] = value.detach()
    return total, losses
