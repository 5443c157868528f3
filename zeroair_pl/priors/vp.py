"""Priors on a variance-preserving (VP) schedule: conversion between timesteps, ᾱ, [-1, 1] and σ in units of [0, 1].

    x_t = sqrt(ᾱ_t)·(2 x_0 − 1) + sqrt(1 − ᾱ_t)·ε,    ε ~ N(0, I),    t = 0 … T−1,    σ = sqrt((1 − ᾱ_t)/ᾱ_t)/2

The paper's sampler runs a scheduler of diffusers on such a schedule; ``vp_of`` provides one for any prior.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from zeroair_pl.priors.base import Prior


class Prediction(NamedTuple):
    """The prediction of a prior on a VP schedule for x_t.

    Attributes:
        x0: the clean estimate E[x_0 | x_t], (B, 3, H, W), clamped to [-1, 1].
        variance: the raw learned-variance channels (B, 3, H, W) of a prior that has them (for a DDPM scheduler with
            ``variance_type="learned_range"``), else ``None``.
    """

    x0: Tensor
    variance: Tensor | None = None


class VPPrior(Prior):
    """A prior that was trained on a VP schedule. A subclass has ``alphas_cumprod`` and ``predict``.

    Attributes:
        alphas_cumprod: ᾱ, shape (T,), float64 on the CPU, decreasing.
        learned_variance: ``predict`` returns the variance channels too.
    """

    alphas_cumprod: Tensor
    learned_variance: bool = False
    _known: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        """The clean estimate of noisy images, without gradient.

        Args:
            x_t: (B, 3, H, W), on the scale of the schedule above, any H and W.
            t: (B,) timesteps, integer or fractional.
        """

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        t = self.timestep(2 * sigma)
        signal = self.alpha_bar(t).sqrt().to(x)[:, None, None, None]
        # In place where possible: a photo of 12 megapixels has 140 MiB.
        x0 = (self.predict((2 * x).sub_(1).mul_(signal), t).x0 + 1).div_(2)
        # Below the schedule's first level, Tweedie's formula with that level's score: E[x_0 | x] = x + σ²·score.
        for i, share in enumerate((sigma / self.sigma(t).to(sigma)).square().tolist()):
            if share < 1 - 1e-6:
                torch.lerp(x[i].to(x0).clamp(0, 1), x0[i], share, out=x0[i])
        return x0

    @property
    def num_timesteps(self) -> int:
        """T, the number of noise levels of the schedule."""
        return len(self.alphas_cumprod)

    def alpha_bar(self, t: Tensor) -> Tensor:
        """ᾱ at (possibly fractional) timesteps, interpolated linearly in log-SNR; float64, CPU, shape of ``t``."""
        log_snr = self._log_snr()
        t = t.detach().double().cpu().clamp(0, len(log_snr) - 1)
        low = t.floor().long().clamp(max=len(log_snr) - 2)
        return torch.sigmoid(torch.lerp(log_snr[low], log_snr[low + 1], t - low))

    def timestep(self, noise: Tensor) -> Tensor:
        """The timestep of the relative noise sqrt((1 − ᾱ)/ᾱ) = 2σ; float64, CPU, shape of ``noise``."""
        levels = -0.5 * self._log_snr()  # increasing in t
        q = noise.detach().double().cpu().clamp(min=1e-8).log().clamp(levels[0], levels[-1]).contiguous()
        i = torch.searchsorted(levels, q).clamp(1, len(levels) - 1)
        return i - 1 + (q - levels[i - 1]) / (levels[i] - levels[i - 1])

    def sigma(self, t: Tensor) -> Tensor:
        """σ at (possibly fractional) timesteps, in units of [0, 1]; float64, CPU, shape of ``t``."""
        alpha_bar = self.alpha_bar(t)
        return ((1 - alpha_bar) / alpha_bar).sqrt() / 2

    def _log_snr(self) -> Tensor:
        """log(ᾱ/(1 − ᾱ)), (T,), at the integer timesteps."""
        if self._known is None or self._known[0] is not self.alphas_cumprod:
            table = self.alphas_cumprod
            self._known = table, torch.log(table) - torch.log1p(-table)
        return self._known[1]

    def fingerprint(self) -> str:
        found = hashlib.sha256(self.alphas_cumprod.numpy().tobytes())
        found.update(super().fingerprint().encode())
        return found.hexdigest()


class LinearVP(VPPrior):
    """Any prior on the linear schedule of 1000 steps, β from 1e-4 to 0.02 (Ho, Jain & Abbeel, NeurIPS 2020)."""

    def __init__(self, prior: Prior | None = None) -> None:
        self.prior, self.name = prior, "linear schedule" if prior is None else prior.name
        self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        assert self.prior is not None
        signal = self.alpha_bar(t).sqrt().to(x_t)[:, None, None, None]
        x0 = self.prior.denoise((x_t / signal + 1) / 2, self.sigma(t).to(x_t))
        return Prediction((2 * x0 - 1).clamp(-1, 1))

    def rmse(self, sigma: Tensor) -> Tensor:
        return super().rmse(sigma) if self.prior is None else self.prior.rmse(sigma)


def vp_of(prior: Prior) -> VPPrior:
    """The prior itself if it has a VP schedule, else on the linear one."""
    return prior if isinstance(prior, VPPrior) else LinearVP(prior)


_LINEAR = LinearVP()


def schedule_fraction(sigma: float) -> float:
    """t/T of the linear schedule at σ: the scale on which the paper states its stages, 0 (clean) to 1 (pure noise)."""
    return float(_LINEAR.timestep(torch.tensor(2 * sigma))) / (_LINEAR.num_timesteps - 1)
