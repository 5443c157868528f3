"""The contract of a loss: one value for each image, from the state of the fit at one timestep."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from zeroair_pl.priors.base import Prior
from zeroair_pl.ranges import Ranged
from zeroair_pl.tensors.per_image import PerImage


@dataclass
class GuidanceState:
    """The inputs of a loss. Images are (B, 3, H, W) in [0, 1]. It contains no clean reference.

    Attributes:
        y: the degraded photos.
        x0: the prior's clean estimates; while guidance differentiates, a variable in their place.
        fraction: where the noise level lies on the linear schedule of the paper, t/T: 1 is pure noise, 0 is clean.
        stage: ``"I"``, ``"II"`` or ``"III"``.
        noise: (B,) standard deviation of the noise in x_t, in units of [0, 1].
        x0_error: (B,) root-mean-square error of the prior's clean estimate at t, in units of [0, 1]: measured on this
            photo where the sampler knows the noise it added, else the prior's calibration.
        degradation: φ, one for each image.
        discriminators: one for each adversarial loss, by the loss's name.
        x0_auxiliary: the clean estimates of the paper's auxiliary noise map, if it is used.
        prior: for losses on its features.
    """

    y: Tensor
    x0: Tensor
    fraction: float
    stage: str
    noise: Tensor
    x0_error: Tensor
    degradation: PerImage
    discriminators: dict[str, PerImage] = field(default_factory=dict)
    x0_auxiliary: Tensor | None = None
    prior: Prior | None = None
    _applied: tuple[Tensor, Tensor | None] | None = field(default=None, repr=False)

    def at(self, x0: Tensor, x0_auxiliary: Tensor | None = None) -> GuidanceState:
        """The same state with other clean estimates; φ is applied to them once, for all losses."""
        applied = self.degradation(x0), None if x0_auxiliary is None else self.degradation(x0_auxiliary)
        return replace(self, x0=x0, x0_auxiliary=x0_auxiliary, _applied=applied)

    @property
    def y_hat(self) -> Tensor:
        """φ(x0), with the current φ."""
        return self.degradation(self.x0) if self._applied is None else self._applied[0]

    @property
    def y_hat_auxiliary(self) -> Tensor | None:
        """φ of the auxiliary clean estimates, if there are any."""
        if self._applied is not None or self.x0_auxiliary is None:
            return None if self._applied is None else self._applied[1]
        return self.degradation(self.x0_auxiliary)

    def noise_level(self) -> Tensor:
        """(B,): σ of each image, from its degradation."""
        level: Tensor = self.degradation.call("noise_level")
        return level

    def noise_variance(self) -> Tensor:
        """σ² of each value of y, in a shape that broadcasts to (B, 3, H, W); infinite where y has no information."""
        variance: Tensor = self.degradation.call("noise_variance", self.y, self.y_hat.detach())
        return variance


class GuidanceLoss(Ranged, nn.Module):
    """A loss on the clean estimate or on the degradation model; lower is better.

    ``forward(state)`` returns (B,), one value for each image: a mean over the elements of this image only. So a weight
    means the same at any image size and batch size. Test-time degradation modeling differentiates it in φ's parameters,
    guidance in x0.

    Attributes:
        adversarial: the loss needs its own discriminator, which the fit builds and trains.
    """

    adversarial: bool = False

    @property
    def name(self) -> str:
        """The name of this loss in logs and tables: the class name in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def forward(self, state: GuidanceState) -> Tensor:
        """(B,): the loss of each image."""
        raise NotImplementedError


def per_image_mean(values: Tensor) -> Tensor:
    """Mean over all dimensions but the first: (B, …) → (B,)."""
    return values.flatten(1).mean(dim=1)
