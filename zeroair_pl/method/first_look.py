"""The prior as a denoiser for the degradation families, before a fit."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from zeroair_pl.errors import DivergenceError
from zeroair_pl.priors.base import Prior
from zeroair_pl.tensors.per_image import finite
from zeroair_pl.tensors.threads import all_threads


class FirstLook:
    """Posterior means E[x_0 | x_0 + σn] from a prior, for ``Degradation.initialize``; one object for each photo.

    Args:
        prior: the frozen prior.

    Attributes:
        nfe: number of images that the prior has denoised so far.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior, self.nfe = prior, 0

    def __call__(self, y: Tensor, sigma: float) -> Tensor:
        """Denoises ``y`` (N, 3, h, w) in [0, 1] with white noise of the standard deviation ``sigma``; on the CPU.

        Raises:
            DivergenceError: the estimate has values that are not finite.
        """
        self.nfe += len(y)
        device = torch.device(self.prior.device)
        with torch.no_grad(), all_threads() if device.type == "cpu" else nullcontext():  # starts may share the cores
            found = self.prior.denoise(y.to(device), torch.full((len(y),), sigma)).cpu()
        if not bool(finite(found).all()):
            name = self.prior.name
            raise DivergenceError(f"the clean estimate of the prior {name!r} is not finite at σ = {sigma:.3g}")
        return found
