"""Noise levels, as a data loader of the Trainer: one batch is one level."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError


class Visits:
    """The levels of a fit as a data loader, from noisy to clean, resumable.

    Args:
        values: the sampler's numbers of its levels, in the order of the visits.
    """

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.position = 0

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        while self.position < len(self.values):
            self.position += 1
            yield self.values[self.position - 1]

    def state_dict(self) -> dict[str, int]:
        """The position, for a checkpoint during a fit."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues at a position."""
        self.position = state["position"]


def check_levels(steps: int, sigma_max: float | None, sigma_min: float, finite: str = "") -> None:
    """Checks a range of noise levels.

    Args:
        finite: the name of a sampler that needs a finite ``sigma_max`` and a ``sigma_min`` above 0.

    Raises:
        ConfigError: the range is impossible.
    """
    if steps < 1:
        raise ConfigError(f"sampling.steps: expected at least 1, got {steps}")
    if sigma_min < 0:
        raise ConfigError(f"sampling.sigma_min: expected a standard deviation of at least 0, got {sigma_min}")
    if sigma_max is not None and (sigma_max < sigma_min or (sigma_max == sigma_min and steps > 1)):
        raise ConfigError(
            f"sampling: {steps} steps need sigma_max > sigma_min, got sigma_max={sigma_max} and sigma_min={sigma_min}"
        )
    if finite and (sigma_max is None or sigma_min == 0):
        raise ConfigError(f"sampling: {finite} needs a finite sigma_max and a sigma_min above 0")


def geometric(high: Tensor, low: Tensor, steps: int) -> Tensor:
    """(steps, B): from ``high`` to ``low``, (B,) each, in equal ratios; ``high`` alone for one step."""
    share = torch.linspace(0, 1, steps, dtype=torch.float64)[:, None]  # 0 alone for one step
    return torch.lerp(high.double().log()[None], low.double().log()[None], share).exp().float()
