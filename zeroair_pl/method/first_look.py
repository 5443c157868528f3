"""Before a fit: a family may look at its photo through the prior, as through a denoiser."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.errors import DivergenceError
from zeroair_pl.priors.base import Prior
from zeroair_pl.tensors.per_image import finite
from zeroair_pl.tensors.threads import all_threads

WHOLE, PART = 384, 192  # pixels: sides up to which a photo is seen whole, and of each of four parts of a larger one


class FirstLook:
    """Posterior means E[x_0 | x_0 + σn] from a prior, for families that look at their photo before the fit.

    Args:
        prior: the frozen prior, where it is to be used.

    Attributes:
        nfe: images that the prior was shown so far.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior, self.nfe = prior, 0

    def __call__(self, phi: Degradation, y: Tensor) -> None:
        """Lets ``phi`` look at its photo ``y`` (1, 3, H, W): at all of it, or at four parts, side by side."""
        phi.look(_parts(y), self._denoise)

    def _denoise(self, y: Tensor, level: float) -> Tensor:
        """``y`` (N, 3, h, w) in [0, 1] without white noise of standard deviation ``level``.

        Raises:
            DivergenceError: the prior gives numbers that are not finite.
        """
        self.nfe += len(y)
        with all_threads():
            found = self.prior.denoise(y.to(self.prior.device), torch.full((len(y),), level)).cpu()
        if not bool(finite(found).all()):
            name = self.prior.name
            raise DivergenceError(f"the clean estimate of the prior {name!r} is not finite at σ = {level:.3g}")
        return found


def _parts(y: Tensor) -> Tensor:
    height, width = y.shape[-2:]
    if max(height, width) <= WHOLE:
        return y
    h, w = min(PART, height), min(PART, width)
    tops = {max(0, min(round(height * share) - h // 2, height - h)) for share in (0.3, 0.7)}
    lefts = {max(0, min(round(width * share) - w // 2, width - w)) for share in (0.3, 0.7)}
    return torch.cat([y[..., top : top + h, left : left + w] for top in sorted(tops) for left in sorted(lefts)])
