"""What can be learned of a network on one photo: a gain for each channel, or a low-rank change of each convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn

from zeroair_pl.priors.adapting import Adaptation, Weights
from zeroair_pl.priors.objectives import Objective
from zeroair_pl.ranges import Range


class GainTuning(Adaptation):
    """A gain for each output channel of each convolution (GainTuning, Mohan et al., NeurIPS 2021).

        W' = g·W,   b' = g·b,   g = 1 at first

    Its arguments are those of ``Adaptation``.
    """

    def start(self, network: nn.Module, generator: torch.Generator) -> list[Tensor]:
        return [each.weight.new_ones(len(each.weight)) for _, each in convolutions(network)]

    def weights(self, network: nn.Module, learned: list[Tensor]) -> Weights:
        found = {}
        for (name, each), gain in zip(convolutions(network), learned, strict=True):
            found[f"{name}.weight"] = each.weight * gain[:, None, None, None]
            if each.bias is not None:
                found[f"{name}.bias"] = each.bias * gain
        return found


class LowRank(Adaptation):
    """A change of low rank of each convolution (LoRA, Hu et al., ICLR 2022).

        W' = W + B·A,   A: (rank, inputs·k²),   B: (outputs, rank) = 0 at first

    Args:
        rank: of the change.
        steps: number of optimizer steps, each on a square of 96 pixels.
        lr: learning rate at the first step.
        objective: ``recorrupted`` or ``sure``.
    """

    def __init__(
        self,
        rank: Annotated[int, Range(1)] = 4,
        steps: Annotated[int, Range(1)] = 40,
        lr: Annotated[float, Range(0, 1, above=True)] = 1e-3,
        objective: Objective = "recorrupted",
    ) -> None:
        super().__init__(steps, lr, objective)
        self.rank = rank

    def start(self, network: nn.Module, generator: torch.Generator) -> list[Tensor]:
        found = []
        for _, each in convolutions(network):
            inputs = each.weight[0].numel()
            found.append((torch.randn(self.rank, inputs, generator=generator) / inputs**0.5).to(each.weight))
            found.append(each.weight.new_zeros(len(each.weight), self.rank))
        return found

    def weights(self, network: nn.Module, learned: list[Tensor]) -> Weights:
        pairs = zip(convolutions(network), learned[::2], learned[1::2], strict=True)
        return {f"{name}.weight": each.weight + (b @ a).view_as(each.weight) for (name, each), a, b in pairs}


def convolutions(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """The convolutions of a network and their names, in its own order."""
    return ((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d))
