"""Water between the scene and the camera: it absorbs each color at its own rate, and adds a veil of its own color."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, Denoise, Side, noise_first
from zeroair_pl.degradations.maps import quantiles, refine, smooth_grid, thumbnail, upsample
from zeroair_pl.degradations.noise_models import HOLD
from zeroair_pl.degradations.picture import picture
from zeroair_pl.degradations.recognition import look_for
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.ranges import Range

EDGES, WORLD, WHITE = 0.4, 0.4, 0.4  # weights of the three estimates of the light's color; they are alike
LOST = 0.06  # share of the light that is lost in all colors
WARM = (1.2, 0.92, 0.9)  # what lives in shallow water is warmer than gray: more red, less green and blue
DARK = (0.35, 0.15)  # brightness of the scene from which on a low red is believed, and below which it is not
LEAST = 0.2  # share of the red that remains at least in the dark
NEAR = 0.03  # radius around a pixel that counts as its surroundings, as a share of the photo's short side
SHALLOW = (0.25, 0.45)  # mean red by mean green of the photo: below the first deep water, above the second shallow


class Underwater(Degradation):
    """Attenuation and backscatter by color, y_c = g_c·m·x_c/s_c + v_c + n, with a smooth map m of the light.

    This is the image formation model of underwater photography (Schechner & Karpel, CVPR 2004) with one distance for
    the whole photo: g_c is the share of the light of channel c that reaches the camera, v_c the veil that the water
    adds. The veil starts from the darkest pixels of each channel. g starts from three estimates of the color cast: the
    edges (gray edge, van de Weijer, Gevers & Gijsenij, TIP 2007), the mean of the parts with detail (gray world,
    Buchsbaum, 1980), and the brightest pixels (white patch). Each estimate has a weight below 1, since a reef is not
    gray: where red light is left, as in shallow water, it is warmer. Test-time modeling then corrects g, v and, by a
    smooth grid, m.

    In the dark, red is hardly more than noise and the error of v, and its amplification would draw red smears. There,
    the map s of red, which is 1 for the other colors and from the start, leaves red at the brighter one of green and
    blue, or at the photo's own red if that is more.

    Args:
        veil: share of each channel's darkest value that counts as veil, 0 to 1.
        cast: share of the color cast that the start removes; 0 keeps the colors, 1 removes all of the estimated cast.
        max_gain: largest amplification 1/g; it limits the noise.
    """

    pointwise = True
    log_light_start: Tensor
    veil_start: Tensor
    log_red: Tensor

    def __init__(
        self,
        veil: Annotated[float, Range(0, 1)] = 0.75,
        cast: Annotated[float, Range(0, 1)] = 1.0,
        max_gain: Annotated[float, Range(1)] = 5.0,
    ) -> None:
        super().__init__()
        self.veil, self.cast, self.max_gain = veil, cast, max_gain

    @classmethod
    def severity(cls, y: Tensor) -> float:
        return look_for("Underwater", y).severity

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        small = thumbnail(picture(y))
        veil = self.veil * quantiles(small, 0.01).view(1, 3, 1, 1)
        clear = (1 - veil).clamp(min=0.1)  # so that white stays white
        gain = _light((small - veil).clamp(min=0) / clear, self.cast) / _warmth(small) ** self.cast
        light = ((1 - LOST) * clear * gain).clamp(min=1 / self.max_gain)
        self.register_buffer("log_light_start", self.amount * light.log())
        self.register_buffer("veil_start", self.amount * veil)
        self.register_buffer("log_red", self.amount * self._less_red(y, light, veil).log())
        self.light, self.tint = nn.Parameter(torch.zeros_like(light)), nn.Parameter(torch.zeros_like(self.veil_start))
        self.correction = smooth_grid(y)

    def _less_red(self, y: Tensor, light: Tensor, veil: Tensor) -> Tensor:
        """s of red, (1, 1, H, W) in [LEAST, 1], along the edges of the photo ``y``."""
        small = thumbnail(y)
        x = ((small - veil) / light).clamp(min=0)
        red = x[:, :1].clamp(min=1e-3)
        most = torch.maximum(x[:, 1:].amax(1, keepdim=True), small[:, :1])
        dark = ((DARK[0] - x.mean(1, keepdim=True)) / (DARK[0] - DARK[1])).clamp(0, 1)
        s = (most / red).clamp(LEAST, 1) ** dark
        if s.shape[-2:] != y.shape[-2:]:
            s = F.interpolate(s, size=y.shape[-2:], mode="bilinear", align_corners=False)
        return refine(s, y, radius=max(2, round(NEAR * min(y.shape[-2:]))), eps=1e-3).clamp(LEAST, 1)

    def _parts(self) -> tuple[Tensor, Tensor]:
        """(g, v), each (1, 3, 1, 1)."""
        moved = self.amount
        return (self.log_light_start + moved * self.light).exp(), self.veil_start + moved * self.tint

    def _map(self, x: Tensor) -> Tensor:
        """m/s, (1, 3, H, W)."""
        m = (self.amount * upsample(self.correction, (x.shape[-2], x.shape[-1]))).exp()
        return torch.cat([m / self.log_red.exp(), m, m], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        light, veil = self._parts()
        return light * self._map(x) * x + veil

    def invert(self, y: Tensor) -> Tensor:
        light, veil = self._parts()
        return (y - veil) / (light * self._map(y))

    def penalty(self) -> Tensor:
        moved = self.light.square().mean() + self.tint.square().mean() + self.correction.square().mean()
        return super().penalty() + HOLD * moved

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return noise_first(self, lr)

    def diagnostics(self) -> dict[str, Tensor]:
        light, veil = self._parts()
        return {"light": light, "veil": veil, "less red": self.log_red.exp()}


def _light(y: Tensor, cast: float) -> Tensor:
    """g, (1, 3, 1, 1), of a photo whose veil is subtracted. It keeps white white, and the mean brightness."""
    looks = y
    gain = torch.ones_like(y[..., :1, :1])
    for look, trust in ((_edges, EDGES), (_brightest, WHITE), (_detailed_mean, WORLD)):
        seen = look(looks.clamp(0, 1)).view(1, 3, 1, 1) + 1e-3
        whole = seen.mean() if look is _detailed_mean else seen.max()
        factor = (whole / seen) ** (cast * trust)
        # Blue is not amplified: clear water absorbs little of it, and where water absorbs it, particles make it green.
        factor = torch.cat([factor[:, :2], factor[:, 2:].clamp(max=1)], dim=1)
        looks, gain = looks * factor, gain * factor
    return 1 / gain


def _warmth(y: Tensor) -> Tensor:
    """(1, 3, 1, 1): factors of the colors of a scene whose cast is removed; 1 in deep water."""
    red, green, _ = y.mean((0, 2, 3)).tolist()
    return y.new_tensor(WARM).view(1, 3, 1, 1) ** ramp(red / max(green, 1e-3), *SHALLOW)


def _edges(y: Tensor) -> Tensor:
    """(3,): mean absolute gradient of each channel."""
    across, down = y.diff(dim=-1).abs(), y.diff(dim=-2).abs()
    return torch.cat([across.flatten(-2), down.flatten(-2)], dim=-1).mean((0, 2))


def _brightest(y: Tensor) -> Tensor:
    """(3,): the 99th percentile of each channel."""
    return quantiles(y, 0.99).flatten()


def _detailed_mean(y: Tensor) -> Tensor:
    """(3,): the mean of each channel, with each pixel weighted by the local standard deviation around it."""
    side = max(3, 2 * (round(0.06 * min(y.shape[-2:])) // 2) + 1)
    pool = torch.nn.functional.avg_pool2d
    mean = pool(y, side, 1, side // 2, count_include_pad=False)
    square = pool(y.square(), side, 1, side // 2, count_include_pad=False)
    weight = (square - mean.square()).clamp(min=0).sqrt().mean(1, keepdim=True) + 1e-4
    return (y * weight).mean((0, 2, 3)) / weight.mean()
