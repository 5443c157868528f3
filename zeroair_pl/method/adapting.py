"""The prior for one photo: adapted to it if the settings say so, and if the photo allows it."""

from __future__ import annotations

import math
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.method.settings import Method
from zeroair_pl.priors.base import Prior
from zeroair_pl.tensors.per_image import image_generator

AROUND = 7  # px to each side, in which values that were cut off are counted
CUT = 0.03  # share of them from which on noise counts as cut off; it has moved the mean by 1 % of σ


def prior_for(phi: Degradation, y: Tensor, method: Method, name: str) -> Prior:
    """The prior with which a photo is restored; that of other photos does not change.

    Adaptation needs z = φ⁻¹(y) and the noise on it, so there is none for a φ that cannot be inverted. Where the noise
    was cut off at black or white, its mean is not 0, and nothing is learned.

    Args:
        phi: the initialized degradation model of the photo.
        y: the photo, (1, 3, H, W) in [0, 1].
        method: the settings.
        name: with the seed, it decides the random numbers.
    """
    if method.prior.adapt is None:
        return method.prior
    with torch.no_grad():
        seen = phi.observe(y)
    if seen is None:
        warnings.warn(f"{name}: prior.adapt has no effect, as {type(phi).__name__} cannot be inverted", stacklevel=2)
        return method.prior
    sigma = seen.sigma.masked_fill(cut_off(y), math.inf)
    return method.prior.adapted(seen.image, sigma, image_generator(method.seed, name, "adaptation"))


def cut_off(y: Tensor) -> Tensor:
    """Where values near a pixel, in its channel, are exactly 0 or 1; truth values of the shape of y (B, 3, H, W)."""
    at_ends = ((y <= 0) | (y >= 1)).float()
    share = F.avg_pool2d(at_ends, 2 * AROUND + 1, stride=1, padding=AROUND, count_include_pad=False)
    return share > CUT
