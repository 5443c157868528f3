"""How blurred a photo is, from its spectrum: a global search of the likelihood over blurs with few parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Side
from zeroair_pl.degradations.jpeg_tables import Tables

LUMA = (0.299, 0.587, 0.114)
LOWEST, HIGHEST = 0.03, 0.5  # cycles per pixel; below this range, there are too few frequencies for an estimate
FALL, SPREAD = 2.2, 0.4  # mean and standard deviation of b in the spectra of photos, A·f^−b
LESS = (1.0, 0.8, 0.63, 0.5, 0.4)  # candidates for the noise level, relative to a first estimate
# What is known of a photo that a denoiser or JPEG has taken fine detail from: the frequencies that it still has, and
# candidates for the level of noise and other errors at these. No estimate of the noise tells it.
KEPT, ERRORS = 0.28, tuple(level / 255 for level in (1, 2, 3, 4, 5, 6, 7))
LOSSY = 74.5  # quality of JPEG below which this is so; many programs use 75, also for sharp photos made smaller
TAKEN = 1024  # pixels, the side of the part of a larger photo that is used

Response = Callable[["Spectrum", Tensor], Tensor]  # parameters (K, P) -> |H|², (K, bins)


class Spectrum:
    """The periodogram of a photo's luma under a Hann window, averaged over bins: rings, or sectors of rings.

    Args:
        y: the photo, (1, 3, H, W) in [0, 1].
        rings, sectors: numbers of rings and of sectors in half of the frequency plane; the other half is the same.
        highest: highest frequency that is used, in cycles per pixel.

    Attributes:
        power: (bins,), mean power of each bin. For white noise it is the variance.
        waves: (bins,), number of frequencies in each bin.
        across, down: (bins,), mean horizontal and vertical frequency, in cycles per pixel.
        f: (bins,), mean absolute frequency, in cycles per pixel.
    """

    def __init__(self, y: Tensor, rings: int = 80, sectors: int = 1, highest: float = HIGHEST) -> None:
        height, width = y.shape[-2:]
        top, left = max(0, (height - TAKEN) // 2), max(0, (width - TAKEN) // 2)
        part = y[..., top : top + TAKEN, left : left + TAKEN]
        light = (part * part.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1)[0].double()
        height, width = light.shape
        window = torch.hann_window(height, False).double()[:, None] * torch.hann_window(width, False).double()
        light = light - (light * window).sum() / window.sum()
        power = torch.fft.fft2(light * window).abs().square() / window.square().sum()
        fy, fx = torch.meshgrid(torch.fft.fftfreq(height), torch.fft.fftfreq(width), indexing="ij")
        f = torch.hypot(fy, fx)
        half = (f > LOWEST) & (f < highest) & ((fx > 0) | ((fx == 0) & (fy > 0)))
        ring = ((f - LOWEST) / (highest - LOWEST) * rings).long().clamp(0, rings - 1)
        sector = ((torch.atan2(fy, fx) / math.pi + 0.5) * sectors).long().clamp(0, sectors - 1)
        place = (ring * sectors + sector)[half]

        def summed(values: Tensor) -> Tensor:
            return torch.zeros(rings * sectors).double().index_add_(0, place, values[half].double())

        waves = summed(torch.ones_like(f))
        kept = waves > 0
        self.waves = waves[kept]
        self.power, self.across, self.down = (summed(v)[kept] / self.waves for v in (power, fx, fy))
        self.f = summed(f)[kept] / self.waves

    def misfit(self, response: Tensor, noise: float) -> Tensor:
        """Negative log-likelihood of K blurs, (K,), each with its best A and b (Whittle, 1953).

            P(f) ~ Exp(mean M(f)),    M = A·f^−b·|H(f)|² + σ²

            Σ log M + P/M + (b − 2.2)²/(2·0.4²)

        Args:
            response: |H|² of each blur at the bins, (K, bins).
            noise: standard deviation of the noise of each color channel, in units of [0, 1]. σ, that of luma, is less.
        """
        variance = noise**2 * sum(share**2 for share in LUMA)
        falls = torch.arange(1.4, 3.2, 0.1, dtype=torch.float64)
        shape = response[:, None] * self.f[None, None] ** -falls[None, :, None]
        low = self.waves * (self.f < 0.12)
        start = torch.log((low * (self.power - variance).clamp(min=0) / (shape + 1e-30)).sum(-1) / low.sum() + 1e-30)
        best = torch.full((len(response),), torch.inf, dtype=torch.float64)
        for change in torch.linspace(-1.2, 1.2, 13).double():
            mean = (start + change).exp()[..., None] * shape + variance
            value = ((mean.log() + self.power / mean) * self.waves).sum(-1) + (falls - FALL).square() / (2 * SPREAD**2)
            best = torch.minimum(best, value.amin(1))
        return best


def trusted(side: Side, noise: float) -> tuple[float, tuple[float, ...]]:
    """The highest frequency of a photo that tells its blur, in cycles per pixel, and candidates for its noise level.

    Args:
        side: what came with the photo; ``denoised`` or the tables of a JPEG file count.
        noise: a first estimate of the noise level, which may include sharp texture.
    """
    if "denoised" in side or ("jpeg" in side and Tables.of_file(side["jpeg"]).quality() < LOSSY):
        return KEPT, ERRORS
    return HIGHEST, tuple(noise * share for share in LESS)


def gaussian(spectrum: Spectrum, parameters: Tensor) -> Tensor:
    """A Gaussian of standard deviation w px: |H|² = exp(−4π²w²f²)."""
    return torch.exp(-4 * math.pi**2 * parameters[:, :1].square() * spectrum.f.square())


def disc(spectrum: Spectrum, parameters: Tensor) -> Tensor:
    """A disc of radius R px, for defocus: |H|² = (2 J₁(2πRf)/(2πRf))²."""
    x = 2 * math.pi * parameters[:, :1] * spectrum.f
    return (2 * torch.special.bessel_j1(x) / x).square()


def line(spectrum: Spectrum, parameters: Tensor) -> Tensor:
    """A line of length L px at an angle a, for uniform motion: |H|² = sinc²(L·(f_x cos a + f_y sin a))."""
    length, angle = parameters[:, :1], parameters[:, 1:]
    return torch.sinc(length * (spectrum.across * torch.cos(angle) + spectrum.down * torch.sin(angle))).square()


def of_kernel(spectrum: Spectrum, kernel: Tensor) -> Tensor:
    """|H|² of a kernel (h, w) at the bins, (bins,)."""
    down, across = (torch.arange(length, dtype=torch.float64) for length in kernel.shape)
    rows = torch.exp(-2j * math.pi * spectrum.down[:, None] * down)
    columns = torch.exp(-2j * math.pi * spectrum.across[:, None] * across)
    return ((rows @ kernel.to(rows)) * columns).sum(1).abs().square()


def search(spectrum: Spectrum, response: Response, noise: float) -> tuple[tuple[float, ...], float]:
    """The parameters with the smallest misfit, and this misfit, from a coarse grid and a fine one around its best."""
    sizes = torch.logspace(math.log10(0.4), math.log10(7.0 if response is disc else 4.5), 40, dtype=torch.float64)
    if response is not line:
        coarse = sizes[:, None]
        size = coarse[_misfits(spectrum, response, coarse, noise).argmin()]
        fine = (size * torch.linspace(0.94, 1.06, 13).double())[:, None]
    else:
        lengths = torch.logspace(math.log10(2), math.log10(40), 32, dtype=torch.float64)
        angles = torch.arange(0, math.pi, math.pi / 24, dtype=torch.float64)
        coarse = torch.cartesian_prod(lengths, angles)
        length, angle = coarse[_misfits(spectrum, response, coarse, noise).argmin()]
        lengths, angles = length * torch.linspace(0.9, 1.1, 9).double(), angle + torch.linspace(-0.12, 0.12, 9).double()
        fine = torch.cartesian_prod(lengths, angles)
    misfit = _misfits(spectrum, response, fine, noise)
    best = int(misfit.argmin())
    return tuple(fine[best].tolist()), float(misfit[best])


def _misfits(spectrum: Spectrum, response: Response, parameters: Tensor, noise: float) -> Tensor:
    return torch.cat([spectrum.misfit(response(spectrum, part), noise) for part in parameters.split(32)])


def room(length: int) -> int:
    """By how much ``length`` must grow at both ends to have no prime factor above 13, so that its FFT is fast."""

    def rough(number: int) -> bool:
        for prime in (2, 3, 5, 7, 11, 13):
            while number % prime == 0:
                number //= prime
        return number > 1

    return next(more for more in itertools.count() if not rough(length + 2 * more))
