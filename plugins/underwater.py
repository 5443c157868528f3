"""A degradation family outside the core: one file with one class is all it takes.

Try it with: python cli.py restore --config dehaze --degradation Underwater --images my_dive/
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.filters import guided_blur
from torch import Tensor, nn

from zeroair_pl.degradations import Degradation


class Underwater(Degradation):
    """Water that veils and absorbs each colour differently, y_c = g_c·t_c·x_c + A_c·(1 − t_c) + n with t_c = t^(b_c).

    The image formation model of underwater photography (Schechner & Karpel, CVPR 2004): one map t of the range, an
    exponent b_c for each channel (green is 1), the colour A of the water, and the light g_c that is left of each colour
    on its way down. Starts from the dark channel of green and blue alone (Drews et al., ICCV Workshops 2013), as red is
    dark everywhere; b follows from the water's colour (Zhao, Jin & Yan, Ocean Engineering 2015), and g, in part, from a
    grey world (Buchsbaum, 1980). Test-time modelling then corrects A, b, g and, by a smooth grid, t.

    Args:
        strength: share of the veil that the start explains, 0 to 1.
        grey_world: share of the colour cast that the start explains, 0 to 1.
        patch: side of the dark channel's window, as a share of the photo's short side.
        floor: smallest transmission of a channel; bounds the amplification of noise to 1/floor.
    """

    pointwise = True
    log_t: Tensor
    log_b_start: Tensor
    log_light_start: Tensor

    def __init__(
        self, strength: float = 0.2, grey_world: float = 0.35, patch: float = 0.04, floor: float = 0.25
    ) -> None:
        super().__init__()
        self.strength, self.grey_world, self.patch, self.floor = strength, grey_world, patch, floor

    def initialise(self, y: Tensor) -> None:
        super().initialise(y)
        side = max(3, 2 * (round(self.patch * min(y.shape[-2:])) // 2) + 1)
        water = _water_colour(y, side)
        rough = 1 - self.strength * _dark((y / water)[:, 1:].clamp(max=1), side)
        window = 2 * min(4 * side, (min(y.shape[-2:]) - 1) // 2) + 1
        t = guided_blur(y.mean(dim=1, keepdim=True), rough, window, 1e-3)
        self.register_buffer("log_t", t.clamp(self.floor, 1).log())
        self.register_buffer("log_b_start", _exponents(water).log())
        self.correction = nn.Parameter(y.new_zeros(1, 1, 6, 6))
        self.water, self.log_b = nn.Parameter(water), nn.Parameter(self.log_b_start.clone())
        self.log_light = nn.Parameter(y.new_zeros(1, 3, 1, 1))
        with torch.no_grad():
            mean = self.invert(y).clamp(0, 1).mean((2, 3), keepdim=True) + 1e-3  # black, too, has a colour then
            self.log_light.copy_(self.grey_world * (mean / mean.mean()).clamp(0.3, 3).log())
        self.register_buffer("log_light_start", self.log_light.detach().clone())

    def transmission(self) -> Tensor:
        """t_c, (1, 3, H, W) in [floor, 1]."""
        size = (self.log_t.shape[-2], self.log_t.shape[-1])
        log_t = self.log_t + 0.1 * F.interpolate(self.correction, size, mode="bicubic", align_corners=True)
        return (log_t * self.log_b.exp()).exp().clamp(self.floor, 1)

    def forward(self, x: Tensor) -> Tensor:
        t = self.transmission()
        return self.log_light.exp() * t * x + self.water * (1 - t)

    def invert(self, y: Tensor) -> Tensor:
        t = self.transmission()
        return (y - self.water * (1 - t)) / (t * self.log_light.exp())

    def regularisation(self) -> Tensor:
        colours = (self.log_b - self.log_b_start).square() + (self.log_light - self.log_light_start).square()
        return super().regularisation() + 0.01 * self.correction.square().mean() + colours.mean()

    def maps(self) -> dict[str, Tensor]:
        return {"transmission": self.transmission(), "water": self.water, "light": self.log_light.exp()}


def _dark(y: Tensor, side: int) -> Tensor:
    """min over the channels and a window of side² pixels; (1, C, H, W) → (1, 1, H, W)."""
    padded = F.pad(y.amin(dim=1, keepdim=True), [side // 2] * 4, mode="replicate")
    return -F.max_pool2d(-padded, side, stride=1)


def _water_colour(y: Tensor, side: int) -> Tensor:
    """(1, 3, 1, 1): the mean colour of the pixels whose green and blue are least dark, the farthest ones."""
    far = _dark(y[:, 1:], side).flatten()
    top = far.topk(max(1, far.numel() // 500)).indices
    return y[0].flatten(1)[:, top].mean(1).view(1, 3, 1, 1).clamp(0.05, 1)


def _exponents(water: Tensor) -> Tensor:
    """b_c = β_c/β_green from β ∝ s/A with scattering s = −0.00113·λ + 1.62517 at λ = 620, 540, 450 nm; in [½, 4]."""
    scattering = water.new_tensor([0.9246, 1.0150, 1.1167]).view(1, 3, 1, 1)
    beta = scattering / water
    return (beta / beta[:, 1:2]).clamp(0.5, 4)
