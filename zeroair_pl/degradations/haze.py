"""Haze: what scattering between the scene and the camera does to a photo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, smooth_grid, upsample


class Haze(Degradation):
    """Koschmieder's haze, y = t·x + A·(1 − t) + n, with a transmission map t in (0, 1] and one airlight colour A.

    Starts from the dark channel prior (He, Sun & Tang, CVPR 2009) with a grey airlight, refined by a guided filter;
    test-time modelling then corrects A and, by a smooth grid of log-transmission, t.

    Args:
        strength: ω, the share of the haze that the dark channel start explains; below 1 it leaves some depth cue.
        patch: side of the dark channel's window, as a share of the photo's short side.
        floor: smallest transmission; bounds the amplification of noise to 1/floor.
        sky_floor: smallest transmission where the photo looks like open sky (bright, colourless, smooth).
    """

    pointwise = True

    def __init__(
        self, strength: float = 0.75, patch: float = 0.035, floor: float = 0.12, sky_floor: float = 0.6
    ) -> None:
        super().__init__()
        self.strength, self.patch, self.floor, self.sky_floor = strength, patch, floor, sky_floor

    def initialise(self, y: Tensor) -> None:
        super().initialise(y)
        side = _odd(self.patch * min(y.shape[-2:]))
        airlight = estimate_airlight(y, side)
        dark = dark_channel((y / airlight).clamp(max=1), side)
        sky = sky_likeness(y, airlight, side)
        t = 1 - self.strength * dark
        t = torch.maximum(t, sky * self.sky_floor)
        t = refine(t, y, radius=4 * side, eps=1e-3).clamp(self.floor, 1)
        self.register_buffer("log_t", t.log())
        self.correction = smooth_grid(y)
        self.airlight = nn.Parameter(airlight)

    def transmission(self) -> Tensor:
        """t, (1, 1, H, W) in [floor, 1]."""
        correction = upsample(self.correction, (self.log_t.shape[-2], self.log_t.shape[-1]))
        return (self.log_t + correction).exp().clamp(self.floor, 1)

    def forward(self, x: Tensor) -> Tensor:
        t = self.transmission()
        return t * x + self.airlight * (1 - t)

    def first_estimate(self, y: Tensor) -> Tensor:
        t = self.transmission()
        return ((y - self.airlight * (1 - t)) / t).clamp(0, 1).detach()

    def regularisation(self) -> Tensor:
        return self.correction.square().mean() + (self.airlight - self.airlight.mean()).square().mean()

    def maps(self) -> dict[str, Tensor]:
        return {"transmission": self.transmission(), "airlight": self.airlight}


def dark_channel(y: Tensor, side: int) -> Tensor:
    """min over the channels and a side×side window; (1, 3, H, W) → (1, 1, H, W)."""
    dark = y.amin(dim=1, keepdim=True)
    return -F.max_pool2d(-F.pad(dark, [side // 2] * 4, mode="replicate"), side, stride=1)


def estimate_airlight(y: Tensor, side: int, share: float = 0.001) -> Tensor:
    """A grey airlight, (1, 3, 1, 1): the mean brightness of the pixels with the largest dark channel.

    One value for the three channels: the brightest region's own colour is a poor guess of the haze's, and a wrong
    tint there colours the whole restored photo.
    """
    dark = dark_channel(y, side).flatten()
    top = dark.topk(max(1, int(share * dark.numel()))).indices
    grey = y[0].flatten(1)[:, top].mean().clamp(0.3, 1)
    return grey.expand(1, 3, 1, 1).clone()


def sky_likeness(y: Tensor, airlight: Tensor, side: int) -> Tensor:
    """In [0, 1], (1, 1, H, W): how much a pixel looks like open sky, from its nearness to A and its smoothness."""
    distance = (y - airlight).abs().amax(dim=1, keepdim=True)
    grey = y.mean(dim=1, keepdim=True)
    mean = F.avg_pool2d(grey, side, 1, side // 2, count_include_pad=False)
    texture = (F.avg_pool2d(grey.square(), side, 1, side // 2, count_include_pad=False) - mean.square()).clamp(min=0).sqrt()
    return torch.sigmoid((0.12 - distance) / 0.03) * torch.sigmoid((0.02 - texture) / 0.005)


def refine(guide_map: Tensor, y: Tensor, radius: int, eps: float) -> Tensor:
    """Guided filter (He et al., ECCV 2010) of a (1, 1, H, W) map along the edges of y's brightness."""
    from kornia.filters import guided_blur

    size = 2 * min(radius, (min(y.shape[-2:]) - 1) // 2) + 1
    return guided_blur(y.mean(dim=1, keepdim=True), guide_map, size, eps)


def _odd(side: float) -> int:
    return max(3, 2 * (int(round(side)) // 2) + 1)
