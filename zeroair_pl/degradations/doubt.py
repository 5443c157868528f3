"""Bounds a doubtful correction: the less sure it is, the less may it change a photo."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise
from zeroair_pl.degradations.steps import ramp

# Largest root-mean-square change of a photo by its severity: with its square root up to a change that hardly shows
# (33 dB), so that doubtful haze is corrected a little, linear from there to a clear one (20 dB), which ends at LAST,
# and then up to any change.
SLIGHT, CLEAR, LAST, ANY = (0.5, 0.022), (0.85, 0.1), 1.05, (1.9, 0.5)
ROUNDS = 4


def bounded(family: type[Degradation], small: Tensor, share: float, severity: float, denoise: Denoise) -> float:
    """The share of a correction, at most ``share``, that changes a photo by no more than its severity allows.

    Statistics are wrong about some photos. With this, a photo that is taken for something by mistake looks the same or
    is still itself, while one that shows it clearly is corrected in full.

    Args:
        family: what the photo is taken for.
        small: the photo as ``looked_at``, (1, 3, h, w) in [0, 1], on which the change by the start is measured.
        share: the largest share, from 0 to 1.
        severity: how surely the photo shows the family.
        denoise: the prior, for the start.
    """
    if severity >= ANY[0] or share == 0:
        return share
    most = allowed(severity)
    (low, least), (high, moved) = (0.0, 0.0), (share, change(family, small, share, denoise))
    if moved <= most:
        return share
    for _ in range(ROUNDS):  # regula falsi; the change grows with the share
        share = low + (high - low) * (most - least) / (moved - least)
        now = change(family, small, share, denoise)
        if abs(now - most) < 0.05 * most:
            break
        low, least, high, moved = (share, now, high, moved) if now < most else (low, least, share, now)
    return share


def allowed(severity: float) -> float:
    """The largest root-mean-square change for a severity, in units of [0, 1]."""
    (low, slight), (middle, clear), (high, most) = SLIGHT, CLEAR, ANY
    least = slight * ramp(severity, 0, low) ** 0.5
    return least + (clear - slight) * ramp(severity, low, middle) + (most - clear) * ramp(severity, LAST, high)


def change(family: type[Degradation], small: Tensor, share: float, denoise: Denoise) -> float:
    """Root-mean-square change, in units of [0, 1], of ``small`` (1, 3, h, w) by the family's start with this share."""
    phi = family()
    phi.amount.fill_(share)
    with torch.no_grad():
        phi.initialize(small, {}, denoise)
        return float((phi.invert(small).clamp(0, 1) - small.clamp(0, 1)).square().mean().sqrt())
