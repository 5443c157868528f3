"""Before a fit: a family may look at its photo through the prior, as through a denoiser."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.priors.base import Prior
from zeroair_pl.tensors.threads import all_threads

WHOLE, PART = 384, 192  # pixels: sides up to which a photo is seen whole, and of each of four parts of a larger one


class FirstLook:
    """Posterior means E[x given x + n] under white noise n, from a prior.

    Args:
        prior: the frozen prior.
        device: where it is.

    Attributes:
        forwards: passes of the prior so far, over a photo or over less of it.
    """

    def __init__(self, prior: Prior, device: torch.device) -> None:
        self.prior, self.device, self.forwards = prior, device, 0

    def __call__(self, phi: Degradation, y: Tensor) -> None:
        """Lets ``phi`` look at its photo ``y`` (1, 3, H, W): at all of it, or at four parts, side by side."""
        phi.look(_parts(y), self._denoise)

    @torch.no_grad()
    def _denoise(self, y: Tensor, level: float) -> Tensor:
        """``y`` (N, 3, h, w) in [0, 1] without white noise of standard deviation ``level`` in units of [0, 1]."""
        self.forwards += 1
        t = self.prior.timestep(torch.tensor([2 * level]))
        signal = float(self.prior.alpha_bar(t).sqrt())
        # Image by image: a batch would round differently, and the look must not depend on what it is done with.
        with all_threads():
            seen = [self.prior.predict((signal * (2 * one - 1)).to(self.device), t).x0.cpu() for one in y.split(1)]
        return (torch.cat(seen) + 1) / 2


def _parts(y: Tensor) -> Tensor:
    height, width = y.shape[-2:]
    if max(height, width) <= WHOLE:
        return y
    h, w = min(PART, height), min(PART, width)
    tops = {max(0, min(round(height * share) - h // 2, height - h)) for share in (0.3, 0.7)}
    lefts = {max(0, min(round(width * share) - w // 2, width - w)) for share in (0.3, 0.7)}
    return torch.cat([y[..., top : top + h, left : left + w] for top in sorted(tops) for left in sorted(lefts)])
