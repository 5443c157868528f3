"""The contract of a prior: a frozen denoiser that turns a noisy image and a timestep into a clean estimate.

A sampler never sees epsilon, v, learned variances, stems or padding: all of that ends here.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from zeroair_pl.priors.tiling import Tiling


class Prediction(NamedTuple):
    """What a prior says about a noisy image.

    Attributes:
        x0: the clean estimate E[x_0 | x_t], (B, 3, H, W), clamped to [-1, 1].
        variance: the raw learned-variance channels (B, 3, H, W) of a prior that has them (for a DDPM scheduler with
            ``variance_type="learned_range"``), else ``None``.
    """

    x0: Tensor
    variance: Tensor | None = None


@dataclass(frozen=True)
class Calibration:
    """Measured root-mean-square error of a prior's clean estimate, by noise level, both in units of the [-1, 1] range.

    ``noise[i]`` is the standard deviation of white noise on a clean image, ``rmse[i]`` the error that the prior leaves.
    It is measured on photographs outside any benchmark and stored in ``prior.json``.
    """

    noise: tuple[float, ...] = (0.01, 0.0392, 0.0784, 0.196, 0.392, 0.784, 1.569, 5.0, 50.0)
    rmse: tuple[float, ...] = (0.0085, 0.0253, 0.0391, 0.0659, 0.0928, 0.123, 0.16, 0.35, 0.5)

    def error(self, noise: Tensor) -> Tensor:
        """RMS error at the given noise levels, interpolated in log-log and extended with the first and last slope."""
        x, y = _logarithms(self.noise), _logarithms(self.rmse)
        q = noise.detach().float().cpu().clamp(min=1e-6).log()
        i = torch.searchsorted(x, q).clamp(1, len(x) - 1)
        slope = (y[i] - y[i - 1]) / (x[i] - x[i - 1])
        return (y[i - 1] + slope * (q - x[i - 1])).exp().clamp(max=1.0).to(noise.device)


@lru_cache(maxsize=16)
def _logarithms(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).log()


class Prior(ABC):
    """A frozen, unconditional model of clean photographs on a variance-preserving noise schedule

        x_t = sqrt(ᾱ_t) · x_0 + sqrt(1 − ᾱ_t) · ε,    ε ~ N(0, I),    t = 0 … T−1.

    Not an ``nn.Module`` on purpose: it must never enter the module tree of a fit, or each checkpoint would carry it.

    Attributes:
        name: what a person calls it.
        alphas_cumprod: ᾱ, shape (T,), float64 on the CPU, decreasing.
        calibration: the measured error of the clean estimate by noise level.
        learned_variance: ``predict`` returns the variance channels too.
        tiling: how large images are seen, where a prior sees them in parts. When memory runs out, ``predict`` goes on
            with a smaller one and leaves it here.
    """

    name: str
    alphas_cumprod: Tensor
    calibration: Calibration
    learned_variance: bool = False
    tiling: Tiling | None = None
    _known: tuple[Tensor, Tensor] | None = None

    @property
    def num_timesteps(self) -> int:
        """T, the number of noise levels the prior was trained on."""
        return len(self.alphas_cumprod)

    def alpha_bar(self, t: Tensor) -> Tensor:
        """ᾱ at (possibly fractional) timesteps, interpolated linearly in log-SNR; float64, CPU, shape of ``t``."""
        log_snr = self._log_snr()
        t = t.detach().double().cpu().clamp(0, len(log_snr) - 1)
        low = t.floor().long().clamp(max=len(log_snr) - 2)
        return torch.sigmoid(torch.lerp(log_snr[low], log_snr[low + 1], t - low))

    def timestep(self, noise: Tensor) -> Tensor:
        """The timestep whose relative noise sqrt((1 − ᾱ)/ᾱ) is ``noise`` (units of the [-1, 1] range); float64, CPU."""
        levels = -0.5 * self._log_snr()  # increasing in t
        q = noise.detach().double().cpu().clamp(min=1e-8).log().clamp(levels[0], levels[-1]).contiguous()
        i = torch.searchsorted(levels, q).clamp(1, len(levels) - 1)
        return i - 1 + (q - levels[i - 1]) / (levels[i] - levels[i - 1])

    def _log_snr(self) -> Tensor:
        """log ᾱ/(1 − ᾱ), (T,), of the schedule as it is."""
        if self._known is None or self._known[0] is not self.alphas_cumprod:
            table = self.alphas_cumprod
            self._known = table, torch.log(table) - torch.log1p(-table)
        return self._known[1]

    @abstractmethod
    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        """The clean estimate of noisy images, without gradient.

        Args:
            x_t: (B, 3, H, W), on the scale of the schedule above, any H and W.
            t: (B,) timesteps, integer or fractional.
        """

    def features(self, x: Tensor) -> list[Tensor]:
        """Multi-scale features of clean images ``x`` (B, 3, H, W) in [-1, 1], differentiable in ``x``."""
        raise NotImplementedError(f"the prior {self.name!r} offers no features")

    def fingerprint(self) -> str:
        """Hexadecimal digits that change with whatever decides a prediction beside the settings: here the schedule and
        the calibration. A prior with weights adds those, so that a prior trained anew in its old place is another."""
        found = hashlib.sha256(self.alphas_cumprod.numpy().tobytes())
        found.update(repr(self.calibration).encode())
        return found.hexdigest()

    def exact(self) -> Prior | None:
        """The same prior in float32 arithmetic, for a fit that has diverged; ``None`` where there is no such thing, or
        it is so already."""
        return None

    def to(self, device: torch.device | str) -> Prior:
        """Moves the weights to ``device`` and returns the prior itself."""
        return self
