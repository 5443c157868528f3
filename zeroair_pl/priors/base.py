"""The contract of a prior: a frozen denoiser of photographs, at any noise level.

    denoise(x, σ) = E[x_0 | x],    x = x_0 + σ·n,    n ~ N(0, I)

Images and σ are in units of [0, 1]. A prior hides what its network predicts (ε, v or x_0), its timesteps, scale and
padding. ``vp`` has the common part of priors on a variance-preserving schedule.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zeroair_pl.ranges import Ranged

if TYPE_CHECKING:
    from zeroair_pl.priors.adapting import Adaptation
    from zeroair_pl.priors.tiling import Tiling


@dataclass(frozen=True)
class Calibration:
    """Measured root-mean-square error of a prior's clean estimate by noise level, both in units of [0, 1].

    ``sigma[i]`` is the standard deviation of white noise on a clean image, ``rmse[i]`` the error that the prior leaves.
    It is measured on photographs outside any benchmark.
    """

    sigma: tuple[float, ...] = (0.005, 0.0196, 0.0392, 0.098, 0.196, 0.392, 0.7845, 2.5, 25.0)
    rmse: tuple[float, ...] = (0.00425, 0.01265, 0.01955, 0.03295, 0.0464, 0.0615, 0.08, 0.175, 0.25)

    def error(self, sigma: Tensor) -> Tensor:
        """RMS error at the noise levels ``sigma``, interpolated in log-log and extrapolated with the end slopes."""
        x, y = _logarithms(self.sigma), _logarithms(self.rmse)
        q = sigma.detach().float().cpu().clamp(min=5e-7).log()
        i = torch.searchsorted(x, q).clamp(1, len(x) - 1)
        slope = (y[i] - y[i - 1]) / (x[i] - x[i - 1])
        return (y[i - 1] + slope * (q - x[i - 1])).exp().clamp(max=0.5).to(sigma.device)


@lru_cache(maxsize=16)
def _logarithms(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).log()


class Prior(Ranged, ABC):
    """A frozen, unconditional model of clean photographs. A subclass has a ``name`` and ``denoise``.

    It is not an ``nn.Module``, so that it does not become part of a fit's module, and of its checkpoints.

    Attributes:
        name: for people.
        calibration: the measured error of the clean estimate by noise level.
        device: the device of the images for ``denoise``.
        tiling: how large images are split into tiles, if the prior does this. When memory runs out, the prior replaces
            it with a smaller tiling.
        adapt: what is learned from each photo before it is restored; ``None`` for nothing, or if the prior cannot.
    """

    name: str
    calibration: Calibration = Calibration()
    device: torch.device = torch.device("cpu")
    tiling: Tiling | None = None
    adapt: Adaptation | None = None

    @abstractmethod
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The clean estimate E[x_0 | x], (B, 3, H, W) in [0, 1], without gradient.

        Args:
            x: noisy images, (B, 3, H, W), any H and W; values may lie far outside [0, 1].
            sigma: (B,) standard deviation of the white noise on each.
        """

    def rmse(self, sigma: Tensor) -> Tensor:
        """Root-mean-square error of the clean estimate at noise levels (B,), in units of [0, 1]."""
        return self.calibration.error(sigma)

    def features(self, x: Tensor) -> list[Tensor]:
        """Multi-scale features of clean images ``x`` (B, 3, H, W) in [0, 1], differentiable in ``x``.

        Raises:
            NotImplementedError: this kind of prior has none. ``Perceptual`` needs them for its trunk ``prior``.
        """
        raise NotImplementedError(f"the prior {self.name!r} offers no features")

    def adapted(self, z: Tensor, epsilon: Tensor, generator: torch.Generator) -> Prior:
        """A copy that has learned from one photo, as ``adapt`` states; itself if nothing that helps was learned.

        Args:
            z: the photo without its degradation, (1, 3, H, W) in units of [0, 1].
            epsilon: standard deviation of the white noise on it, of the same shape; infinite where z is not known.
            generator: of all random numbers, on the CPU.
        """
        return self

    def fingerprint(self) -> str:
        """Hexadecimal digits that change with everything that decides a prediction, besides the settings.

        By default it covers the calibration. A prior with weights adds them, so that a prior that is trained again in
        the same folder has another fingerprint.
        """
        return hashlib.sha256(repr(self.calibration).encode()).hexdigest()

    def to_float32(self) -> Prior | None:
        """The same prior in float32 arithmetic, for a fit that has diverged; ``None`` if there is none, or if it is
        in float32 already."""
        return None

    def to(self, device: torch.device | str) -> Prior:
        """Moves the weights to ``device`` and returns the prior itself."""
        self.device = torch.device(device)
        return self


class DenoiserPrior(Prior):
    """A plain function as a prior.

        DenoiserPrior(lambda x, sigma: my_denoiser(x, sigma))

    Args:
        function: ``function(x, sigma)``, with the arguments and the result of ``Prior.denoise``.
        name: for people.
        calibration: its measured error by noise level; by default that of a good network.
    """

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor],
        name: str = "function",
        calibration: Calibration | None = None,
    ) -> None:
        self.function, self.name = function, name
        self.calibration = calibration or Calibration()

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.function(x, sigma)
