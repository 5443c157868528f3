"""Batches on a machine without an accelerator: photos that share a fit, as they do on one."""

from __future__ import annotations

import pytest
import torch

from zeroair_pl.jobs import job
from zeroair_pl.jobs.batches import BatchSize, batch_size

ELSEWHERE = torch.device("meta")  # anything but a CPU


def batches_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``--batch`` work on a CPU, where photos are otherwise fitted one by one."""

    def asked(batch: BatchSize, pixels: int, device: torch.device) -> int:
        return batch_size(batch, pixels, ELSEWHERE)

    monkeypatch.setattr(job, "batch_size", asked)
    monkeypatch.setattr("zeroair_pl.method.solve.device_of", lambda trainer: ELSEWHERE)
