"""Batches on a machine without an accelerator: photos that share a fit, as they do on one."""

from __future__ import annotations

import pytest
import torch

from zeroair_pl.jobs import batches
from zeroair_pl.jobs.batches import BatchSize, most_at_once

ELSEWHERE = torch.device("meta")  # anything but a CPU


def batches_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``--batch`` work on a CPU, where photos are otherwise fitted one by one."""

    def asked(batch: BatchSize, pixels: int, device: torch.device) -> int:
        return most_at_once(batch, pixels, ELSEWHERE)

    monkeypatch.setattr(batches, "most_at_once", asked)
