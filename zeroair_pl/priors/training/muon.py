"""Muon: momentum whose update is made orthogonal, for the convolutions of a network; AdamW for all else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = 3.4445, -4.7750, 2.0315  # of the quintic a·s + b·s³ + c·s⁵, which brings 0 < s ≤ 1 to 0.7 … 1.2
ROUNDS = 5
RMS = 0.2  # root mean square of an update of AdamW, in units of the learning rate


class Muon(torch.optim.Optimizer):
    """Orthogonal updates of the weights of convolutions (Jordan et al., 2024), AdamW for the other parameters.

        m ← μ·m + (1 − μ)·g;    u = (1 − μ)·g + μ·m;    W ← W − lr·0.2·√max(n, k)·UVᵀ,    u = U S Vᵀ of shape (n, k)

    A convolution (n, ...) is taken as a matrix (n, k). All its directions learn equally fast, also those whose gradient
    is small. The factor 0.2·√max(n, k) gives the update the size of one of AdamW (Liu et al., arXiv 2502.16982), so
    both share a learning rate.

    Args:
        network: the network; its first and last convolution are left to AdamW.
        lr: learning rate.
        weight_decay: of both.
        momentum: μ.
        betas: of AdamW.
    """

    def __init__(
        self, network: nn.Module, lr: float, weight_decay: float = 0.0, momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:  # fmt: skip
        ends = {id(p) for name, p in network.named_parameters() if name.startswith(("conv_in", "conv_out"))}
        inner = [p for p in network.parameters() if p.ndim == 4 and id(p) not in ends]
        chosen = {id(p) for p in inner}
        rest = [p for p in network.parameters() if id(p) not in chosen]
        groups = [{"params": inner, "orthogonal": True}, {"params": rest, "orthogonal": False}]
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for p in parameters:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            (self._orthogonal if group["orthogonal"] else self._adam)(parameters, group)
        return loss

    def _orthogonal(self, parameters: Iterable[Tensor], group: dict[str, Any]) -> None:
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for p in parameters:
            assert p.grad is not None
            momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
            momentum.lerp_(p.grad, 1 - group["momentum"])
            update = p.grad.lerp(momentum, group["momentum"]).flatten(1)
            alike.setdefault(tuple(update.shape), []).append((p, update))
        for shape, pairs in alike.items():  # matrices of one shape at once
            updates = orthogonalized(torch.stack([update for _, update in pairs]))
            for (p, _), update in zip(pairs, updates, strict=True):
                p.add_(update.view(p.shape), alpha=-group["lr"] * RMS * max(shape) ** 0.5)

    def _adam(self, parameters: Iterable[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for p in parameters:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state.update(step=torch.zeros(()), mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
            t = float(state["step"])
            state["mean"].lerp_(p.grad, 1 - first)
            state["square"].lerp_(p.grad.square(), 1 - second)
            scale = (state["square"] / (1 - second**t)).sqrt().add_(1e-8)
            p.addcdiv_(state["mean"] / (1 - first**t), scale, value=-group["lr"])


def orthogonalized(matrices: Tensor) -> Tensor:
    """U Vᵀ of matrices U S Vᵀ, (K, n, m), nearly: their singular values become 0.7 to 1.2, those near 0 stay smaller.

    By Newton–Schulz steps on the Gram matrices, which are smaller than the matrices themselves.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonalized(matrices.mT).mT
    a, b, c = COEFFICIENTS
    gram = matrices @ matrices.mT
    norm = gram.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None].clamp(min=1e-30)  # S² sums to it
    gram, factor = gram / norm, torch.eye(gram.shape[-1]).to(gram).expand_as(gram)
    for _ in range(ROUNDS):
        polynomial = a * torch.eye(gram.shape[-1]).to(gram) + b * gram + c * gram @ gram
        factor, gram = polynomial @ factor, polynomial @ gram @ polynomial
    return factor @ matrices / norm.sqrt()
