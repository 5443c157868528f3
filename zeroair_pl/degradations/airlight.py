"""The airlight of a hazy photo: its brightness and color, and where lamps light the haze, its change over the photo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.maps import quantiles
from zeroair_pl.degradations.steps import ramp

USUAL, DOUBT = 0.9, 0.2  # the usual airlight, and its weight against the brightest part of the photo
TINT = 0.8  # share of a veil's color that the airlight takes, if the whole photo has this color cast
# A color cast from which on a veil's blue is not believed more than other colors, and one up to which it is fully.
SLIGHT = 0.1, 0.06
AROUND = 0.1  # side of the window of the local airlight, as a share of the photo's short side
CELLS = 24  # of the grid of the local airlight, along the long side
GRAIN = 5  # px: means over as many, since a lamp or a glint is no haze
UNEVEN = 0.65, 0.45  # median of the local airlight by its brightest: the light is even, and it is not
DARKEST = 0.03  # least local airlight


def dark_channel(y: Tensor, side: int) -> Tensor:
    """Minimum over the channels and a side×side window, (1, 3, H, W) → (1, 1, H, W)."""
    dark = y.amin(dim=1, keepdim=True)
    # First along rows, then along columns: the time grows with the side, not with its square.
    rows = F.max_pool2d(-dark, (side, 1), stride=1, padding=(side // 2, 0))
    return -F.max_pool2d(rows, (1, side), stride=1, padding=(0, side // 2))


def estimate_airlight(y: Tensor, side: int, share: float = 0.001) -> Tensor:
    """The airlight, (1, 3, 1, 1): mean brightness of the pixels with the largest dark channel, and the veil's color.

    The color of the brightest region alone is a poor estimate of the haze's color: a blue sky above the haze, a lamp or
    a wall would color the whole restored photo. A veil colors the whole photo. So the color counts as far as the mean
    of the photo has the same color cast, and the airlight is gray otherwise. Air scatters blue light most, so a slight
    blue is believed when less of the photo has it, and taken in full. The brightness is moved a little towards
    the usual airlight: a lamp or a white wall is brighter than the haze, and indoors no pixel may be distant enough to
    show the airlight.

    Args:
        y: the photo, (1, 3, H, W) in [0, 1].
        side: of the dark channel's window, in pixels.
        share: of the pixels that are averaged for the brightness; ten times as many are for the color.
    """
    dark = dark_channel(y, side).flatten()
    colors = y[0].flatten(1)
    order = dark.topk(max(1, int(10 * share * dark.numel()))).indices
    brightness = colors[:, order[: max(1, int(share * dark.numel()))]].mean()
    gray = torch.lerp(brightness, y.new_tensor(USUAL), DOUBT).clamp(0.3, 1)
    veil, whole = _cast(colors[:, order].mean(1)), _cast(colors.mean(1))
    same = (whole @ veil) / (veil @ veil + 1e-4)  # how much of the veil's cast the whole photo has
    taken = TINT * ramp(float(same), 0.5, 0.9)
    if veil[2] > veil[0]:
        slight = ramp(float(veil.abs().amax()), *SLIGHT)
        taken += slight * max(0.0, ramp(float(same), 0.3, 0.6) - taken)
    return (gray * (1 + taken * veil)).clamp(0.3, 1).view(1, 3, 1, 1)


def _cast(color: Tensor) -> Tensor:
    """The color cast (3,) of a mean color: its difference from gray, relative to its brightness."""
    return color / color.mean().clamp(min=0.05) - 1


def local_airlight(y: Tensor) -> tuple[Tensor, float]:
    """The airlight on a grid (1, 3, h, w) of the photo ``y`` (1, 3, H, W), and how uneven it is, 0 to 1.

    By day, the sky lights the haze everywhere alike. Lamps at night, a window and the shade of trees do not: the haze
    near them has their brightness and color. As in the maximum reflectance prior (Zhang et al., CVPR 2017), something
    near each place reflects nearly all of its light, so the brightest value there, in each channel, is that of the
    light. If the median of this is far below its brightest part, the light is uneven.
    """
    height, width = y.shape[-2:]
    side = odd(AROUND * min(height, width))
    smooth = F.avg_pool2d(y, GRAIN, 1, GRAIN // 2, count_include_pad=False)
    rows = F.max_pool2d(smooth, (side, 1), 1, (side // 2, 0))
    most = F.max_pool2d(rows, (1, side), 1, (0, side // 2))
    grid = F.interpolate(most, size=cells(y), mode="area")
    kernel = y.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    for _ in range(2):
        for at in (kernel.view(1, 1, 5, 1), kernel.view(1, 1, 1, 5)):
            pad = (2, 2, 0, 0) if at.shape[-1] == 5 else (0, 0, 2, 2)
            grid = F.conv2d(F.pad(grid, pad, "replicate"), at.expand(3, 1, -1, -1), groups=3)
    light = grid.amax(1)
    ratio = float(quantiles(light, 0.5)) / max(float(quantiles(light, 0.99)), 1e-3)
    return grid.clamp(DARKEST, 1), ramp(ratio, *UNEVEN)


def cells(y: Tensor) -> tuple[int, int]:
    """The numbers of rows and columns of the grid of the airlight of ``y`` (…, H, W); they depend on its shape only."""
    height, width = y.shape[-2:]
    return max(2, round(CELLS * height / max(height, width))), max(2, round(CELLS * width / max(height, width)))


def odd(side: float) -> int:
    """The odd whole number near ``side``, at least 3."""
    return max(3, 2 * (round(side) // 2) + 1)
