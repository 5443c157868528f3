"""A moment of a fit without the fit: the state that losses and updates see, with toy families and priors to fill it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.toys import ToyPrior, toy_photo
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.discriminator import PatchDiscriminator
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.vp import Prediction
from zeroair_pl.tensors.per_image import PerImage, build_per_image


class SixChannelPrior(ToyPrior):
    """The toy prior with variance channels, as ADM has them; 0 is half-way between the two bounds."""

    learned_variance = True

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        return super().predict(x_t, t)._replace(variance=torch.zeros_like(x_t))


class Affine(Degradation):
    """φ(x) = a·x + b, one a and b."""

    pointwise = True

    def __init__(self, gain: float = 0.6, offset: float = 0.1) -> None:
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.tensor(gain)), nn.Parameter(torch.tensor(offset))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x + self.offset

    def invert(self, y: Tensor) -> Tensor:
        return (y - self.offset) / self.gain


class ToyBlur(Degradation):
    """φ(x) = a 3×3 blur: linear, and not pointwise."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel.expand(3, 1, 3, 3), padding=1, groups=3)


def photos(count: int = 2, height: int = 32, width: int = 32) -> Tensor:
    """``count`` different toy photos, (B, 3, H, W)."""
    return torch.cat([toy_photo(height, width, seed) for seed in range(count)])


def names(count: int) -> list[str]:
    return [f"photo{i}.png" for i in range(count)]


def moment(
    y: Tensor,
    x0: Tensor,
    family: Callable[[], Degradation] = Affine,
    auxiliary: Tensor | None = None,
    prior: Prior | None = None,
    losses: tuple[Any, ...] = (),
    error: float = 0.1,
    noise: float = 0.2,
    sigma: float | None = None,
) -> GuidanceState:
    """The state in the middle of the schedule, in stage I with an ``auxiliary`` map and in stage II without."""
    called = names(len(y))
    phi = build_per_image(family, called, 0, "degradation")
    for i, each in enumerate(phi):
        assert isinstance(each, Degradation)
        each.initialize(y[i : i + 1], {}, blurred)
        if sigma is not None:
            each.noise.log_sigma.data.fill_(torch.tensor(sigma).log())
    discriminators = {
        loss.name: build_per_image(PatchDiscriminator, called, 0, loss.name) for loss in losses if loss.adversarial
    }
    state = GuidanceState(
        y=y,
        x0=x0,
        fraction=600 / 999,
        stage="II" if auxiliary is None else "I",
        noise=y.new_full((len(y),), noise),
        x0_error=y.new_full((len(y),), error),
        degradation=phi.to(y.dtype) if isinstance(phi, PerImage) else phi,
        discriminators=discriminators,
        prior=prior or ToyPrior(),
    )
    return state.at(x0, auxiliary)
