"""The contract of a degradation family: a small differentiable model of what happened to one photo.

    y = φ(x) + n,    n ~ N(0, σ²)

φ is the family's ``forward``; σ, the standard deviation of the noise, is learned beside it by every family (``noise``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import estimate_noise_level, rounding
from zeroair_pl.degradations.noise_models import NoiseModel
from zeroair_pl.degradations.proximal import conjugate_proximal, pointwise_proximal, pointwise_slope
from zeroair_pl.ranges import Ranged


class Observation(NamedTuple):
    """A photo after φ⁻¹: an image without the degradation, with white noise of known strength.

    Both are (B, 3, H, W), in units of [0, 1].

    Attributes:
        image: φ⁻¹(y).
        sigma: standard deviation of the noise on ``image``, σ/|∂φ/∂x|; infinite where y has no information on x.
    """

    image: Tensor
    sigma: Tensor


class Moment(NamedTuple):
    """The state of the sampler at a learning step, see ``Degradation.learn``.

    Attributes:
        sigma: standard deviation of the noise in x_t, in units of [0, 1].
        error: root-mean-square error of x0, in the same unit.
        progress: from 0 at the first noise level to 1 at the last. In the first third, x0 shows only large shapes.
    """

    sigma: float
    error: float
    progress: float


Denoise = Callable[[Tensor, float], Tensor]
"""``denoise(x, sigma)``: the prior's estimate of clean images from noisy ones, both (N, 3, H, W) in [0, 1].

``sigma`` is the standard deviation of the noise. Each image takes one pass of the prior.
"""

Side = Mapping[str, Any]
"""Side information of a photo, by name.

``missing``: a mask (1, 1, H, W), 1 where a pixel is missing. ``kernel``: a blur kernel (h, w). ``jpeg``: the
``photos.jpeg.JpegFile`` of the photo's own file. ``exposure``: the ``photos.exposure.Exposure`` that its camera noted.
``without_shades``: it is a smaller copy of a picture that has two values at most. A plugin may use other names.
"""


class Degradation(Ranged, nn.Module):
    """The model of what happened to one photo. A new family is one file with one subclass.

    A subclass implements ``forward`` and, where it can look at the photo first, ``initialize``. Parameters whose shape
    depends on the photo are created in ``initialize``, which runs once, before any optimizer exists. All images are
    (1, 3, H, W) in [0, 1]; ``forward`` must be differentiable in x and in the parameters.

    Attributes:
        pointwise: every output value depends only on the input value of the same pixel and channel. The Jacobian of φ
            is then diagonal, and data consistency has a closed form. A contract test checks this.
        batched: several photos of one size may be computed at once, on devices where that saves time. ``False`` if the
            size of x depends on more than the size of y.
        unsure: 0 for most families. Above 0 for a family whose proximal step ignores the noise level: the
            root-mean-square error of its restored photo, in units of [0, 1]. A ``Chain`` then takes its noise model
            from another link, and starts the noise level at this value or above.
        coarse: share of the levels of ``AnnealedSampler``, the first ones, at which the prior sees the image at half
            its width and height. It suits a φ that hides fine detail: everywhere, or in holes that are wide.
        enough: share of the number of levels that the settings ask for with which a fit loses next to nothing.
        middle: side in pixels of the part in the middle of the photo that ``initialize`` looks at; 0 for all of it.
        factor: width and height of the clean image, without its border, divided by those of y.
        noise: the model of n.
        reason: why ``Auto`` chose this family, in words; empty for a family that was named by the user.
        facts: names of attributes that say what was found in the photo, and that no method of a fit uses. Photos may be
            computed together although these differ.
        amount: a scalar from 0 to 1, the share of the correction that is applied, at the start and in learning. It is
            1 unless ``Auto`` sets it before ``initialize``. Near 0, φ is nearly the identity.
    """

    pointwise: bool = False
    batched: bool = True
    unsure: float = 0.0
    coarse: float = 0.0
    enough: float = 1.0
    middle: int = 0
    factor: float = 1.0
    reason: str = ""
    facts: tuple[str, ...] = ("reason",)
    amount: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.noise = NoiseModel()
        self.register_buffer("amount", torch.ones(()))

    @property
    def scales(self) -> bool:
        """Whether φ of a large photo may be learned on a smaller copy and then enlarged; by default if pointwise."""
        return self.pointwise

    @property
    def reach(self) -> tuple[int, int]:
        """(rows, columns): how far x extends beyond y on each side, in pixels of y; by default 0."""
        return 0, 0

    def shape(self, y: Tensor) -> tuple[int, int]:
        """(H, W) of the clean image x for a photo ``y`` (1, 3, h, w); by default the size of y."""
        return y.shape[-2], y.shape[-1]

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        """Creates and sets the parameters from the degraded photo; by default only the noise level.

        Args:
            y: the photo, (1, 3, H, W) in [0, 1].
            side: its side information, see ``Side``.
            denoise: the prior; each image takes one pass, which is counted in ``nfe``.
        """
        self.measure_noise(y, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        """Estimates the noise level of ``y`` (1, 3, H, W) and makes it the start of σ.

        ``initialize`` calls this. It is called again at full size for a photo whose φ was learned on a smaller copy.
        """
        self.noise.start(estimate_noise_level(y), rounding(y))

    def explained(self, y: Tensor) -> Tensor:
        """The image of the size of ``y`` (1, 3, H, W) that φ explains in the fit; by default the photo ``y`` itself.

        It is called once after each ``initialize``, and once after ``measure_noise`` at full size. ``Auto`` returns the
        photo without what it has removed before.
        """
        return y

    def forward(self, x: Tensor) -> Tensor:
        """φ(x): the degraded image without noise, (1, 3, h, w), of a clean image ``x`` of the size ``shape(y)``."""
        raise NotImplementedError

    def invert(self, y: Tensor) -> Tensor:
        """φ⁻¹(y) with the current parameters, for one or several degraded images (N, 3, H, W); not clamped above.

        It must be exact for a pointwise family, which a contract test checks, and is a first guess for any other
        family. By default y itself.
        """
        return y

    def observe(self, y: Tensor) -> Observation | None:
        """The photo without its degradation but with its noise, for ``NoiseMatchedSampler``; ``None`` if there is none.

        By default, for a pointwise φ: the image φ⁻¹(y), clamped to [−0.5, 1.5], with noise of the standard deviation
        (φ⁻¹(y + σ) − φ⁻¹(y − σ))/2, at least 1e-4, and infinite where σ is. This secant stays finite where the slope of
        φ is 0.
        """
        if not self.pointwise:
            return None
        sigma = self.noise.variance(y, y).sqrt()
        known = sigma.isfinite()
        step = sigma.where(known, 0.1)
        if y.numel() > LARGE:  # one image after the other needs less memory
            noise = (self.invert(y + step) - self.invert(y - step)) / 2
            image = self.invert(y)
        else:  # all at once: the maps of φ are computed only once
            image, above, below = self.invert(torch.cat([y, y + step, y - step])).split(len(y))
            noise = (above - below) / 2
        return Observation(image.clamp(-0.5, 1.5), noise.clamp(min=1e-4).where(known, torch.inf))

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        """argmin_x ‖x − x0‖²/(2e²) + ‖y − φ(x)‖²/(2σ²): the most probable clean image given x0 and the photo.

        By default Gauss–Newton steps, with conjugate gradients if φ is not pointwise. A family with a closed form (blur
        in the Fourier domain, means of blocks) overrides this method.

        Args:
            x0: the clean estimate, (1, 3, H, W), of the size ``shape(y)``.
            y: the photo, (1, 3, h, w).
            error: e, (1,), the root-mean-square error of x0 in units of [0, 1].

        Returns:
            An image of the shape of ``x0``.
        """
        e2 = error.square().view(1, 1, 1, 1)
        variance = self.noise.variance(y, self(x0))
        solve = pointwise_proximal if self.pointwise else conjugate_proximal
        return solve(self, x0, y, e2, variance)

    def first_estimate(self, y: Tensor) -> Tensor:
        """A first clean image in [0, 1], of the size ``shape(y)``, from which sampling may start."""
        return self.invert(y).clamp(0, 1)

    def cleared(self, y: Tensor, denoise: Denoise) -> Tensor:
        """An estimate of the input image of which φ made ``y``. In a ``Chain``, the earlier links start from it."""
        return self.first_estimate(y)

    def passed(self, x: Tensor, error: Tensor) -> Tensor:
        """The root-mean-square error of φ(x), (1,), if x has the root-mean-square ``error``, (1,); ``Chain`` uses it.

        By default the error times the root-mean-square slope of a pointwise φ, and the error itself for any other φ.
        """
        return error * pointwise_slope(self, x) if self.pointwise else error

    def levels(self) -> tuple[float, float] | None:
        """First and last noise level of ``AnnealedSampler`` for this photo, in units of [0, 1].

        The first should be about the error of ``first_estimate``; a higher one gains nothing. ``NoiseMatchedSampler``
        takes the first. With ``None``, the default, both use ``sampling.sigma_max`` and ``sampling.sigma_min``.
        """
        return None

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        """The restored photo, made from the last clean estimate x0 or the last proximal image z; by default x0.

        A family whose ``shape`` includes a border beyond the photo removes that border here.
        """
        return x0

    def penalty(self) -> Tensor:
        """A scalar penalty on the parameters, in nats per value of y; by default it holds σ near its start."""
        return self.noise.penalty()

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The parameters that Adam learns, in groups with one learning rate each, in the form of ``torch.optim``.

        In one step, Adam moves a parameter by about its group's ``lr`` at most. A fit of 10 levels with one step each
        moves it by at most 10·lr, 0.08 with the default of 0.008. A parameter that must move further needs a larger
        rate, a better start, or its own ``learn``. By default all parameters have ``lr``.

        Args:
            lr: ``modeling.lr``, a rate that suits the logarithm of the noise level.
        """
        return [{"params": list(self.parameters()), "lr": lr}]

    def learn(self, x0: Tensor, y: Tensor, moment: Moment) -> None:
        """The family's own learning step at this noise level, such as a closed form or a search; by default none.

        It runs before the steps of Adam, without gradients.

        Args:
            x0: the clean estimate, (1, 3, H, W), of the size ``shape(y)``.
            y: the photo, (1, 3, h, w).
            moment: the noise in x_t, the error of x0, and the progress of the fit.
        """

    @classmethod
    def severity(cls, y: Tensor) -> float:
        """How strongly the photo ``y`` (1, 3, H, W) shows this degradation.

        0 means not at all, 1 means as strongly as the family's start can correct; a value above 1 only states more
        certainty. The value must be continuous in y. ``Auto`` compares the families that it knows, chooses one, and
        sets its ``amount`` from this value. By default 0: ``Auto`` does not choose the family.
        """
        return 0.0

    @property
    def kind(self) -> str:
        """The name of the degradation in the table of results; by default the name of the class."""
        return type(self).__name__

    @property
    def untouched(self) -> bool:
        """Whether the photo stays unchanged after the fit; by default not, since the user named the family."""
        return False

    def diagnostics(self) -> dict[str, Tensor]:
        """What was learned, by name, for people: images (1, C, H, W) in [0, 1], or numbers (1, C, 1, 1)."""
        return {}

    def noise_level(self) -> Tensor:
        """σ, the learned standard deviation of the noise on y, a scalar in units of the [0, 1] range."""
        return self.noise.level()

    def noise_variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        """σ² of each value of y (1, 3, H, W), infinite where y has no information; see ``NoiseModel.variance``."""
        return self.noise.variance(y, y_hat)


LARGE = 2**23  # values; of a photo with more, ``observe`` holds fewer copies in memory
SLOW = 0.1  # learning rate of maps relative to that of the noise level: their starts are better known


def noise_first(phi: Degradation, lr: float, slower: float = SLOW) -> list[dict[str, Any]]:
    """Parameter groups of a family with a good start: the noise at ``lr``, all other parameters at ``slower``·lr."""
    noise = {id(p) for p in phi.noise.parameters()}
    others = [p for p in phi.parameters() if id(p) not in noise]
    return [{"params": list(phi.noise.parameters()), "lr": lr}, {"params": others, "lr": slower * lr}]
