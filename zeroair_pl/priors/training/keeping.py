"""Further training that keeps the first answers for images as they are in the middle of a restoration."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.priors.network import DenoisingUNet

LOWEST, HIGHEST = 0.01, 1.0  # noise levels that the network is told, in units of [-1, 1]
ENLARGED = 2, 4  # factors
BLUR = 0.5, 2.5  # standard deviation of the blur, in pixels
HALO = 0.3, 0.9  # strength of the sharpening after a blur
PERIOD = 2.0, 4.0  # of patterns, in pixels


class Keeping:
    """The answers of a network as it was, for images without the noise that it is told: knowledge distillation.

        ‖v(x; σ) − v₀(x; σ)‖²,    x = soft image + a·σ·noise + b·σ·pattern,    0 ≤ a, b < 1

    ``AnnealedSampler`` shows a prior images of this kind. White noise alone teaches nothing about them, and a longer
    training on it makes the network amplify patterns of two pixels there (docs/priors.md). Soft images are clean crops
    that are shrunk and enlarged again, or blurred, or blurred and sharpened. The old answer is the target, not the
    clean crop: nothing is learned about removing blur.

    Args:
        first: the network with the weights of the beginning, v₀. It is copied.
    """

    def __init__(self, first: DenoisingUNet) -> None:
        self.network = copy.deepcopy(first).eval().requires_grad_(False)

    def images(self, clean: Tensor, noise: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Images (K, 3, S, S) for crops ``clean`` and unit ``noise`` of that shape, and their noise levels (K,).

        The random numbers depend on ``step`` alone.
        """
        rng = torch.Generator().manual_seed(step)
        uniform = torch.rand(8, len(clean), generator=rng).to(clean)
        level = (math.log(LOWEST) + math.log(HIGHEST / LOWEST) * uniform[0]).exp()
        white, periodic = uniform[1] * (uniform[2] < 0.7), 0.5 * uniform[3] * (uniform[4] < 0.6)
        wide = (slice(None), None, None, None)
        other = white[wide] * noise + periodic[wide] * patterns(uniform[5:], clean.shape[-1], rng)
        soft = torch.stack([softened(image[None], rng)[0] for image in clean])
        return soft + level[wide] * other, level

    def answers(self, x_t: Tensor, t: Tensor) -> Tensor:
        """v₀ of noisy images (K, 3, S, S) at timesteps (K,)."""
        torch.nn.Module.to(self.network, x_t.device)
        with torch.no_grad():
            v: Tensor = self.network(x_t, t).sample.float()
        return v


def softened(image: Tensor, rng: torch.Generator) -> Tensor:
    """An image (1, 3, H, W) that is enlarged, blurred, or blurred and sharpened, by chance."""
    kind, amount = int(torch.randint(4, (), generator=rng)), float(torch.rand((), generator=rng))
    if kind < len(ENLARGED):
        small = F.interpolate(image, scale_factor=1 / ENLARGED[kind], mode="bicubic", antialias=True)
        return F.interpolate(small, size=image.shape[-2:], mode="bicubic")
    from kornia.filters import gaussian_blur2d

    sigma = BLUR[0] + (BLUR[1] - BLUR[0]) * amount
    side = 2 * math.ceil(3 * sigma) + 1
    blurred = gaussian_blur2d(image, (side, side), (sigma, sigma), border_type="reflect")
    if kind == len(ENLARGED):
        return blurred
    return image + (HALO[0] + (HALO[1] - HALO[0]) * float(torch.rand((), generator=rng))) * (image - blurred)


def patterns(uniform: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Waves and checkerboards with periods of 2 to 4 pixels, whose amplitude varies slowly: (K, 3, side, side).

    Args:
        uniform: (3, K), for the direction, the period and the phase.
        side: in pixels.
        rng: for the amplitudes, which are about 1.
    """
    direction, period, phase = uniform
    x = torch.arange(side).to(uniform)
    angle = torch.where(direction < 0.7, (direction / 0.7 * 3).floor() * math.pi / 4, direction * math.pi)
    wave = 2 * math.pi / torch.where(period < 0.5, PERIOD[0], PERIOD[0] + (PERIOD[1] - PERIOD[0]) * (2 * period - 1))
    across, down = (wave * angle.cos())[:, None, None] * x, (wave * angle.sin())[:, None, None] * x[:, None]
    waves = (across + down + 2 * math.pi * phase[:, None, None]).cos()
    checkerboard = (math.pi * (x + x[:, None])).cos()
    chosen = torch.where((phase < 0.35)[:, None, None], checkerboard, waves)
    slow = torch.randn(uniform.shape[1], 3, 8, 8, generator=rng).to(uniform)
    return 1.2 * chosen[:, None] * F.interpolate(slow, size=(side, side), mode="bicubic")
