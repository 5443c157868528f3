"""Test-time adaptation: a copy of the prior's network learns a little from the one photo before it restores it.

    z = x_0 + ε·n,   n ~ N(0, I)       the photo without its degradation, with noise of a known strength ε
    min_λ  L(f_λ; z, ε)                a loss without a clean image; λ are gains of channels or low-rank matrices

The mean of the loss is the error of the clean estimate, up to a constant. For that the noise must be white and its
strength known. The prior itself does not change: λ makes other weights for a copy of its network.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from zeroair_pl.priors.objectives import LOSSES, Estimate, Objective, correlation, stein
from zeroair_pl.ranges import Range, Ranged
from zeroair_pl.tensors.threads import one_thread

Weights = dict[str, Tensor]
Square = tuple[Tensor, Tensor]  # z and ε of a part of the photo, (1, 3, h, w)

SIDE = 96  # px, of the squares of the photo
HELD = 4  # nothing is learned from one square of so many; these decide whether what was learned is used
MOST = 12  # held-out squares that are looked at, so that large photos take no longer
OFF = 0.1  # error of the noise's variance with which it must still help; a blind estimate is that far off
# Correlation between neighbors in what the prior takes away. Grain of cameras has 0.5. Noise that is 10 to 25 %
# stronger than believed leaves fine grain behind, and has less than -0.1.
WHITE = -0.1, 0.2
KNOWN = 0.5  # least share of a square where the noise is known
LEAST = 0.002  # ε below which noise cannot be told from rounding to 8 bits


class Adaptation(Ranged, ABC):
    """What a prior's network learns from one photo. A new one is one subclass with two methods.

        λ = start(network);   λ ← Adam on L(f_λ), one square of the photo at each step

    Args:
        steps: number of optimizer steps.
        lr: learning rate at the first step; it falls to 0 as a cosine.
        objective: see ``objectives``; ``sure`` takes twice the time.
    """

    def __init__(
        self,
        steps: Annotated[int, Range(1)] = 40,
        lr: Annotated[float, Range(0, 1, above=True)] = 5e-3,
        objective: Objective = "recorrupted",
    ) -> None:
        self.steps, self.lr, self.objective = steps, lr, objective

    @abstractmethod
    def start(self, network: nn.Module, generator: torch.Generator) -> list[Tensor]:
        """The quantities λ, on the network's device, with values that change nothing; ``generator`` is on the CPU."""

    @abstractmethod
    def weights(self, network: nn.Module, learned: list[Tensor]) -> Weights:
        """The weights of ``network`` that λ changes, by name, differentiable in λ; ``network`` stays as it is."""


def adapted(
    adaptation: Adaptation,
    network: nn.Module,
    estimate: Callable[[Weights], Estimate],
    z: Tensor,
    epsilon: Tensor,
    generator: torch.Generator,
) -> Weights | None:
    """Learns from one photo. The same arguments give the same bits with any number of threads.

    Args:
        adaptation: what is learned.
        network: in float32, without gradients; it stays as it is.
        estimate: the network with other weights as a denoiser of images in [0, 1], differentiable in the weights.
        z: the photo without its degradation, (1, 3, H, W).
        epsilon: standard deviation of the noise on it, of the same shape; infinite where there is no information.
        generator: of all random numbers, on the CPU.

    Returns:
        The new weights by their names. ``None`` if there is nothing to learn from, if the noise is not white or is
        stronger than believed, or if Stein's estimate of the error on the held-out squares does not fall.
    """
    parts = squares(z, epsilon)
    if not parts:
        return None
    order = torch.randperm(len(parts), generator=generator).tolist()
    count = len(parts) // HELD
    held, seen = [parts[i] for i in order[:count] or order], [parts[i] for i in order[count:]]
    held, loss = held[:MOST], LOSSES[adaptation.objective]
    with one_thread(0), torch.no_grad():
        shared = sum(float(correlation(estimate({}), *part)) for part in held) / len(held)
        if not WHITE[0] < shared < WHITE[1]:
            return None
    with one_thread(0), torch.enable_grad():  # how threads split a sum changes its rounding
        learned = [value.requires_grad_() for value in adaptation.start(network, generator)]
        optimizer = torch.optim.Adam(learned, lr=adaptation.lr)
        for step in range(adaptation.steps):
            optimizer.param_groups[0]["lr"] = adaptation.lr * (1 + math.cos(math.pi * step / adaptation.steps)) / 2
            part, noise = seen[int(torch.randint(len(seen), (1,), generator=generator))]
            value = loss(estimate(adaptation.weights(network, learned)), part, noise, generator)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    with one_thread(0), torch.no_grad():
        found = {name: value.detach() for name, value in adaptation.weights(network, learned).items()}
        return found if _helps(estimate(found), estimate({}), held) else None


def _helps(new: Estimate, old: Estimate, held: list[Square]) -> bool:
    """Whether Stein's estimate falls, also if the variance of the noise is a little larger or smaller than believed."""
    changes = []
    for f, sign in ((new, 1), (old, -1)):
        generator = torch.Generator().manual_seed(0)  # the same random numbers for both
        changes += [[sign * float(term) for term in stein(f, *part, generator)] for part in held]
    error, divergence = (sum(each) for each in zip(*changes, strict=True))
    return error + divergence + OFF * abs(divergence) < 0  # false for NaN


def squares(z: Tensor, epsilon: Tensor) -> list[Square]:
    """The photo z and its noise ε, both (1, 3, H, W), in squares of ``SIDE`` pixels that cover it.

    Squares whose noise is unknown or next to none are left out.
    """
    found = []
    for rows in _spans(z.shape[-2]):
        for columns in _spans(z.shape[-1]):
            part = z[..., rows, columns], epsilon[..., rows, columns]
            known = part[1].isfinite()
            if float(known.float().mean()) > KNOWN and float(part[1][known].max()) > LEAST:
                found.append(part)
    return found


def _spans(length: int) -> list[slice]:
    """Parts of at most ``SIDE`` pixels that cover ``length``; they begin at even numbers."""
    count = -(-length // SIDE)
    starts = [(length - SIDE) * i // max(1, count - 1) // 2 * 2 for i in range(count)] if count > 1 else [0]
    return [slice(start, min(start + SIDE, length)) for start in starts]
