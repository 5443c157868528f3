"""Whether a photo as a whole is blurred, which ``Auto`` removes before its families look at the photo."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroair_pl.degradations import spectrum
from zeroair_pl.degradations.base import Denoise, Side
from zeroair_pl.degradations.blur import RESPONSES, Blur
from zeroair_pl.degradations.noise_level import estimate_noise_level, rounding
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.spectrum import Spectrum
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.degradations.steps import ramp

# Standard deviation of the kernel along an axis, in pixels: not removed, and removed completely. Of 2100 photographs
# that are not blurred, the softest has 0.84; photographs in water have up to 0.95, since water scatters light.
WIDTH = 0.95, 1.05
SEEN = 0.0015, 0.0025  # the same in units of the photo's short side: a blur that nobody sees without enlarging it
SURE = 0.06, 0.12  # gain in log-likelihood by the blur, per frequency
TEXTURE = 0.03, 0.06  # strongest contrast, relative to the lights; a gradient has 0.003, blurred photos 0.16 and more
SIDE = 48  # px; below it, a photo has too few frequencies to tell
TRIED = 0.6, 0.9, 1.6, 2.6  # px; Gaussians of a first search, which decides whether there is another


def blur_on(y: Tensor, denoise: Denoise, side: Side) -> Blur | None:
    """The Gaussian or defocus blur of a photo (1, 3, H, W), if the whole photo surely has one; else ``None``.

    Its ``amount`` is how sure that is and how much the blur shows, 0 to 1. A photo in which anything is sharp, as with
    a blurred background, has no such blur. Motion is not found.

    Args:
        y: the photo, with values in [0, 1].
        denoise: the prior, for a look at the noise.
        side: ``denoised`` if JPEG or a denoiser has taken fine detail, see ``spectrum.trusted``.
    """
    if min(y.shape[-2:]) < SIDE:
        return None
    noise = max(estimate_noise_level(y), rounding(y))
    highest, noises = spectrum.trusted(side, noise)
    seen = Spectrum(y, highest=highest)
    widths = torch.tensor(TRIED, dtype=torch.float64)[:, None]
    if gain(seen, spectrum.gaussian(seen, widths), noises) < SURE[0]:
        return None
    values = statistics(looked_at(y))
    share = ramp(values["contrast_99"] / max(values["luminance_99"], 0.01), *TEXTURE)
    if share == 0:
        return None
    blur = Blur()
    blur.initialize(y, side, denoise)
    kernel = blur.get_buffer("h")
    width, size = width_of(kernel), torch.tensor([[blur.found["size"]]], dtype=torch.float64)
    if size == 0:
        return None
    share *= ramp(max(gain(seen, response(seen, size), noises) for response in RESPONSES.values()), *SURE)
    share *= ramp(width, *WIDTH) * ramp(width / min(y.shape[-2:]), *SEEN)
    if share == 0:
        return None
    blur.amount.fill_(share)
    return blur


def gain(seen: Spectrum, response: Tensor, noises: tuple[float, ...]) -> float:
    """How much better blurs |H|² (K, bins) explain a spectrum than no blur: in log-likelihood per frequency."""
    none = min(float(seen.misfit(torch.ones_like(response[:1]), noise)) for noise in noises)
    blurred = min(float(seen.misfit(response, noise).min()) for noise in noises)
    return (none - blurred) / float(seen.waves.sum())


def width_of(kernel: Tensor) -> float:
    """Standard deviation of a kernel (k, l) of sum 1 along an axis, in pixels, as the root mean square of both."""
    variance = 0.0
    for axis in (0, 1):
        shares = kernel.sum(1 - axis)
        places = torch.arange(len(shares), dtype=shares.dtype) - (len(shares) - 1) / 2
        variance += float((shares * places.square()).sum()) / 2
    return float(variance**0.5)
