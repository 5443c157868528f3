"""A prior that has learned nothing: what remains of a method when its knowledge of photos is taken away.

Try it with: zeroair restore --config denoise --prior CosinePrior
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.priors.base import Calibration, Prior

SIDE = 8  # of the patches
THRESHOLD = 3.0  # in standard deviations of the noise
BRIGHTNESS = 0.25  # standard deviation of the mean of a patch, over photos
# Measured on 20 photographs of 256×256, outside any benchmark.
MEASURED = Calibration(
    sigma=(0.005, 0.0196, 0.0392, 0.098, 0.196, 0.392, 0.7845, 2.5, 25.0),
    rmse=(0.003, 0.0087, 0.0146, 0.0274, 0.0424, 0.0655, 0.1035, 0.217, 0.295),
)


class CosinePrior(Prior):
    """Denoising by cosines (Yu & Sapiro, "DCT image denoising", IPOL 2011), with the given noise level.

    The channels are decorrelated by the cosine transform of their three values. Every 8×8 patch loses its cosine
    coefficients below 3 standard deviations of the noise, except its mean; the rest is drawn to mid-gray by the
    rule of Wiener; and each pixel is the average of the 64 patches that it lies in.
    """

    name = "cosine"
    calibration = MEASURED

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        # One by one: sums over more images would be taken in another order, and round differently.
        pairs = zip((x - 0.5).split(1), sigma.to(x)[:, None, None, None].split(1), strict=True)
        return torch.cat([_denoised(*pair) for pair in pairs]).clamp(-0.5, 0.5) + 0.5

    def features(self, x: Tensor) -> list[Tensor]:
        """Differences between neighbors, at full and at half resolution."""
        return [
            torch.cat([y[..., 1:, 1:] - y[..., 1:, :-1], y[..., 1:, 1:] - y[..., :-1, 1:]], dim=1)
            for y in (x, F.avg_pool2d(x, 2))
        ]


def _denoised(x: Tensor, noise: Tensor) -> Tensor:
    """The clean estimate of (1, 3, H, W) with white noise of the standard deviation ``noise``, (1, 1, 1, 1)."""
    colors, basis = cosines(3).to(x), cosines(SIDE).to(x)
    edge = SIDE - 1
    rotated = F.pad(torch.einsum("ij,bjhw->bihw", colors, x), [edge] * 4, mode="reflect")[0]
    total, weight = torch.zeros_like(rotated), torch.zeros_like(rotated[:1])
    believed = 1 / (1 + (noise[0] / (BRIGHTNESS * SIDE)).square())
    for top in range(SIDE):
        for left in range(SIDE):
            rows, columns = (
                (length - start) // SIDE for length, start in zip(rotated.shape[1:], (top, left), strict=True)
            )
            place = slice(None), slice(top, top + rows * SIDE), slice(left, left + columns * SIDE)
            tiles = rotated[place].reshape(3, rows, SIDE, columns, SIDE).transpose(2, 3)
            found = basis @ tiles @ basis.T
            kept = torch.where(found.abs() > THRESHOLD * noise[..., None], found, 0)
            kept[..., 0, 0] = found[..., 0, 0]
            total[place] += (basis.T @ kept @ basis).transpose(2, 3).reshape(3, rows * SIDE, columns * SIDE)
            weight[place] += 1
    inner = (believed * total / weight)[:, edge:-edge, edge:-edge]
    return torch.einsum("ji,jhw->ihw", colors, inner)[None]


def cosines(side: int) -> Tensor:
    """The orthonormal matrix of the cosine transform (type II), a row for each frequency; (side, side)."""
    k, n = torch.arange(side, dtype=torch.float64)[:, None], torch.arange(side, dtype=torch.float64)[None]
    rows = (torch.pi * (n + 0.5) * k / side).cos() * (2 / side) ** 0.5
    rows[0] /= 2**0.5
    return rows
