"""The contract of a degradation family: a small differentiable model of what happened to one photo.

    y = φ(x) + n,    n ~ N(0, σ²)

φ is the family's ``forward``; σ, the standard deviation of the noise, is learned beside it by every family (``noise``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.noise_level import estimate_noise_level, rounding
from zeroair_pl.degradations.noise_models import NoiseModel
from zeroair_pl.degradations.proximal import conjugate_proximal, pointwise_proximal, pointwise_slope
from zeroair_pl.ranges import Ranged


class Observation(NamedTuple):
    """A photo seen through φ⁻¹: a clean image with known white noise on it, (B, 3, H, W) each in units of [0, 1].

    Attributes:
        image: φ⁻¹(y).
        sigma: the standard deviation of the noise on it, σ/|∂φ/∂x|; infinite where the photo says nothing.
    """

    image: Tensor
    sigma: Tensor


class Moment(NamedTuple):
    """What a learning step may know beside x0 and y.

    Attributes:
        sigma: standard deviation of the noise in x_t, in units of [0, 1].
        error: root-mean-square error of x0, in the same unit.
        progress: share of the levels that have passed, 0 at the first and 1 at the last. x0 shows little but large
            shapes in the first third.
    """

    sigma: float
    error: float
    progress: float


Denoise = Callable[[Tensor, float], Tensor]
"""``denoise(x, sigma)``: E[x | x + n] by the prior, (N, 3, H, W); each image is one pass of the prior."""

Side = Mapping[str, Any]
"""What comes with a photo, by name: ``missing`` (1, 1, H, W), 1 where y says nothing; ``kernel`` (h, w); or others."""


class Degradation(Ranged, nn.Module):
    """What happened to one photo. A new family is one file with one subclass of this.

    A subclass implements ``forward`` and, where it can look at the photo first, ``initialize``. Parameters whose shape
    depends on the photo are created in ``initialize``, which runs once, before any optimizer exists. All images are
    (1, 3, H, W) in [0, 1]; ``forward`` must be differentiable in x and in the parameters.

    Attributes:
        pointwise: every output value depends on the input value of the same pixel and channel alone, so that the
            Jacobian of φ is diagonal and data consistency has a closed form. A contract test holds it to that.
        batched: photos of one size may be computed at once, on devices where that saves time; not where the size of x
            depends on more than the size of y.
        unsure: above 0 for a family whose own step knows no noise: the root-mean-square error, in units of [0, 1], of
            what it makes of a photo. In a chain the noise is then that of the link before, and at least of this level.
        factor: how many times as wide and as high as y the clean image is, without its border.
        noise: the model of n.
        reason: why it was taken, in words; ``Auto`` says so, others are asked for by name.
        amount: a scalar, the share of the family's correction in its start and in what is learned: 1, or what ``Auto``
            has set before ``initialize``. Near 0, φ is nearly the identity.
    """

    pointwise: bool = False
    batched: bool = True
    unsure: float = 0.0
    factor: float = 1.0
    reason: str = ""
    amount: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.noise = NoiseModel()
        self.register_buffer("amount", torch.ones(()))

    @property
    def scales(self) -> bool:
        """Whether a large photo's φ may be learned at a smaller size and carried up; here for a pointwise φ."""
        return self.pointwise

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that x has beyond y on each side, in pixels of y."""
        return 0, 0

    def shape(self, y: Tensor) -> tuple[int, int]:
        """(H, W) of the clean image x, for a photo ``y`` (1, 3, h, w); here that of y."""
        return y.shape[-2], y.shape[-1]

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        """Sets the parameters from the degraded photo; here: the noise level alone.

        Args:
            y: the photo, (1, 3, H, W).
            side: what came with it.
            denoise: the prior, for a first look; each image that it is shown costs a pass.
        """
        self.measure_noise(y, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        """Sets the start of the noise level; again for the full size of a photo that was learned at a smaller one."""
        self.noise.start(estimate_noise_level(y), rounding(y))

    def forward(self, x: Tensor) -> Tensor:
        """φ(x): the noise-free degraded image of the clean image ``x``, which has the size ``shape(y)``."""
        raise NotImplementedError

    def invert(self, y: Tensor) -> Tensor:
        """φ⁻¹(y) under the present parameters, not clamped above, for one or several images (N, 3, H, W) in the place
        of the photo.

        Exact for a pointwise family (a contract test holds it to that), a first guess for any other; here y itself.
        """
        return y

    def observe(self, y: Tensor) -> Observation | None:
        """The photo without its degradation, but with its noise, for sampling from the photo itself; or ``None``.

        Here for a pointwise φ: the image φ⁻¹(y), and as its noise half of φ⁻¹(y + σ) − φ⁻¹(y − σ), infinite where y
        says nothing. A secant over ±σ is finite where a tone curve has no slope.
        """
        if not self.pointwise:
            return None
        sigma = self.noise.variance(y, y).sqrt()
        known = sigma.isfinite()
        step = sigma.where(known, 0.1)
        if y.numel() > LARGE:  # one after the other, in less memory
            noise = (self.invert(y + step) - self.invert(y - step)) / 2
            image = self.invert(y)
        else:  # at once: what belongs to φ, a map perhaps, is computed once
            image, above, below = self.invert(torch.cat([y, y + step, y - step])).split(len(y))
            noise = (above - below) / 2
        return Observation(image.clamp(-0.5, 1.5), noise.clamp(min=1e-4).where(known, torch.inf))

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        """argmin_x ‖x − x0‖²/(2e²) + ‖y − φ(x)‖²/(2σ²): the most probable image between x0 and the photo.

        Here by Gauss–Newton steps, with conjugate gradients where φ is not pointwise. A family with a closed form
        (blur in the Fourier domain, block means) overrides it.

        Args:
            x0: the clean estimate, with the size ``shape(y)``.
            error: (1,), e, its root-mean-square error in units of [0, 1].
        """
        e2 = error.square().view(1, 1, 1, 1)
        variance = self.noise.variance(y, self(x0))
        solve = pointwise_proximal if self.pointwise else conjugate_proximal
        return solve(self, x0, y, e2, variance)

    def first_estimate(self, y: Tensor) -> Tensor:
        """A first clean image in [0, 1], of the size ``shape(y)``, where sampling may start."""
        return self.invert(y).clamp(0, 1)

    def cleared(self, y: Tensor, denoise: Denoise) -> Tensor:
        """The image that this made y of, as far as it can be told, for the earlier links of a chain to look at."""
        return self.first_estimate(y)

    def passed(self, x: Tensor, error: Tensor) -> Tensor:
        """The root-mean-square error of φ(x) where x has ``error``, (1,): for the links of a chain.

        Here the mean slope times the error for a pointwise φ, and the error itself for any other.
        """
        return error * pointwise_slope(self, x) if self.pointwise else error

    def levels(self) -> tuple[float, float] | None:
        """First and last noise level of annealed sampling for this photo; ``None``, as here, for those of the settings.

        The first is about the error of ``first_estimate``: above it there is nothing to gain.
        """
        return None

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        """What is written, from the last clean estimate x0, or the last proximal image z; here x0, in the photo's size
        or the size that was asked for, where ``shape`` is larger for the sake of the border."""
        return x0

    def penalty(self) -> Tensor:
        """A scalar energy on the parameters, in nats per element; here it holds the noise level near its start."""
        return self.noise.penalty()

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The parameters that Adam learns, in groups with learning rates of their own, as ``torch.optim`` takes them.

        Adam moves a parameter by its group's ``lr`` a step at most: in a fit of 16 levels of one step, by 16·lr in all
        (0.08 with the default of 0.005). A parameter that must go further needs a larger rate, or a start that is
        nearer, or a ``learn`` of its own. Here: all at ``lr``.

        Args:
            lr: ``modelling.lr``, made for the logarithm of the noise level.
        """
        return [{"params": list(self.parameters()), "lr": lr}]

    def learn(self, x0: Tensor, y: Tensor, moment: Moment) -> None:
        """A learning step of the family's own at this level, before Adam's: a closed form, a search; here nothing.

        Args:
            x0: the clean estimate, a constant, with the size ``shape(y)``.
            y: the photo.
            moment: how noisy x_t is, how wrong x0, and how far the fit.
        """

    @classmethod
    def severity(cls, y: Tensor) -> float:
        """How much of this the photo ``y`` (1, 3, H, W) shows: 0 is nothing, 1 all that the family's start corrects.

        Continuous in y; above 1 it is only surer. ``Auto`` asks every family that it may choose, and has the one that
        it takes correct that share (``amount``). 0, as here, takes no part.
        """
        return 0.0

    @property
    def kind(self) -> str:
        """What the table of results says happened to the photo: the name of the family."""
        return type(self).__name__

    @property
    def untouched(self) -> bool:
        """Whether the photo is to stay as it is, after the fit; here not, since this was asked for by name."""
        return False

    def diagnostics(self) -> dict[str, Tensor]:
        """What a person would look at, by name: (1, C, H, W) images in [0, 1], or (1, C, 1, 1) numbers."""
        return {}

    def noise_level(self) -> Tensor:
        """σ, the learned standard deviation of the noise on y, a scalar in units of the [0, 1] range."""
        return self.noise.level()

    def noise_variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        """σ² of each value of y, see ``NoiseModel.variance``."""
        return self.noise.variance(y, y_hat)


LARGE = 2**23  # values of a photo that is not held several times over
SLOW = 0.1  # maps move this much slower than the noise level at one learning rate: their starts are better known


def noise_first(phi: Degradation, lr: float, slower: float = SLOW) -> list[dict[str, Any]]:
    """Parameter groups of a family with a good start: the noise at ``lr``, all others ``slower`` by that factor."""
    noise = {id(p) for p in phi.noise.parameters()}
    others = [p for p in phi.parameters() if id(p) not in noise]
    return [{"params": list(phi.noise.parameters()), "lr": lr}, {"params": others, "lr": slower * lr}]


def smooth_grid(y: Tensor, cells: int = 8) -> nn.Parameter:
    """A zero (1, 1, h, w) parameter with ``cells`` values on the long side: a smooth correction to a log-map of ``y``.

    The number of cells does not depend on the image size, so a setting means the same on a thumbnail and on a photo.
    """
    height, width = y.shape[-2:]
    h, w = (max(2, round(cells * side / max(height, width))) for side in (height, width))
    return nn.Parameter(y.new_zeros(1, 1, h, w))


def correct(log_map: Tensor, grid: Tensor) -> Tensor:
    """exp(log_map + grid), the grid upsampled smoothly (bicubic), so that a correction never draws an edge."""
    size = (log_map.shape[-2], log_map.shape[-1])
    return (log_map + upsample(grid, size)).exp()


def upsample(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """A smooth (bicubic) map of ``size`` from a grid (…, h, w), whose corners are those of the map.

    As a product with one matrix for the rows and one for the columns, R·grid·Cᵀ: an interpolation is linear, and this
    takes a tenth of the time of ``interpolate``, there and back.
    """
    rows, columns = (_bicubic(n, length, grid.device) for n, length in zip(grid.shape[-2:], size, strict=True))
    return rows.to(grid) @ grid @ columns.to(grid).T


@lru_cache(maxsize=64)
def _bicubic(cells: int, length: int, device: torch.device) -> Tensor:
    """(length, cells): what each of ``cells`` values in a row adds to each of ``length``."""
    unit = torch.eye(cells, device=device)[None, None]
    return torch.nn.functional.interpolate(unit, size=(length, cells), mode="bicubic", align_corners=True)[0, 0]


def thumbnail(y: Tensor, pixels: int = 256 * 256) -> Tensor:
    """``y`` (1, 3, H, W) in [0, 1], shrunk if it has more than ``pixels``: statistics mean the same at any size."""
    height, width = y.shape[-2:]
    scale = (pixels / (height * width)) ** 0.5
    if scale >= 1:
        return y.clamp(0, 1)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return torch.nn.functional.interpolate(y.clamp(0, 1), size=size, mode="area")


def quantiles(y: Tensor, q: float) -> Tensor:
    """The quantile of each channel of (1, C, H, W) or (1, H, W), as (C,) or (1,); of a regular sample of large ones."""
    values = y.flatten(-2)
    # torch.quantile takes at most 16 million values, and a regular sample of a photo is as good
    return values[..., :: max(1, values.shape[-1] // 200_000)].quantile(q, dim=-1).flatten()


def refine(rough: Tensor, y: Tensor, radius: int, eps: float, samples: int = 24) -> Tensor:
    """Guided filter of a (1, 1, H, W) map along the edges of y's brightness (He, Sun & Tang, ECCV 2010).

    For large radii its linear coefficients, which are smooth, are computed on a subsampled grid (fast guided filter, He
    & Sun, 2015): the cost does not grow with the radius. A window has at least ``samples`` of them along a side.
    """
    from kornia.filters import guided_blur

    size = 2 * min(radius, (min(y.shape[-2:]) - 1) // 2) + 1
    guide = y.mean(dim=1, keepdim=True)
    return guided_blur(guide, rough, size, eps, subsample=max(1, size // samples), separable=True)
