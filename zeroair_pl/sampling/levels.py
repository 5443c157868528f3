"""Noise levels, and the visit of them as a training set: one batch of the Trainer is one level."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError


class Visits:
    """The levels of a fit as a data loader, from noisy to clean, resumable.

    Args:
        values: what the sampler calls its levels, in the order in which it visits them.
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
        """Where the visit stands, for a checkpoint in the middle of an image."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues a visit."""
        self.position = state["position"]


def check_levels(steps: int, sigma_max: float | None, sigma_min: float, finite: str = "") -> None:
    """Refuses an impossible range of noise levels.

    Args:
        finite: the name of a sampler that needs a finite ``sigma_max`` and a ``sigma_min`` above 0.

    Raises:
        ConfigError: naming the setting.
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
