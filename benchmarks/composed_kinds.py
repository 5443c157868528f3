"""Haze, darkness, bright windows, dusk, water and blur put on photos, to fit the models of ``auto``, from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from composed import made_up_map
from torch import Tensor

from zeroair_pl.degradations.blur import kernel_of
from zeroair_pl.degradations.maps import quantiles, refine

# Water: absorption of red, green and blue, and the color of the veil.
WATERS = (
    ((1.2, 0.25, 0.18), (0.08, 0.45, 0.60)),
    ((1.0, 0.20, 0.45), (0.15, 0.50, 0.40)),
    ((1.3, 0.45, 0.15), (0.05, 0.25, 0.55)),
)


def haze(x: Tensor, g: torch.Generator) -> Tensor:
    """Half of the photos in fog that grows with the distance, half in a veil that is nearly even."""
    depth, even = made_up_map(x, g), _between(0, 1, g) < 0.5
    depth = 1 + 0.35 * (depth - 1) if even else depth
    clearest = 0.35 if even else 0.25
    t = (depth * math.log(_between(clearest, clearest + 0.5, g))).exp().clamp(0.1, 0.98)
    airlight = _between(0.68, 0.98, g) * (1 + 0.03 * torch.randn(1, 3, 1, 1, generator=g))
    return _noisy(t * x + airlight.clamp(0, 1) * (1 - t), 0.006, g)


def darkness(x: Tensor, g: torch.Generator) -> Tensor:
    """Little light, even or uneven, of a slight color, through a tone curve."""
    light = (_between(0.12, 0.6, g) * made_up_map(x, g) ** _between(0.3, 2, g)).clamp(0.02, 1)
    color = (1 + 0.05 * torch.randn(1, 3, 1, 1, generator=g)).clamp(0.8, 1.2)
    return _noisy((light * color * x).clamp(0, 1) ** _between(1, 2, g), _between(0, 0.02, g), g)


def backlight(x: Tensor, g: torch.Generator) -> Tensor:
    """Light from behind: the brightest 10 to 60 % of the photo are as bright as a sky, the rest has little light."""
    smooth = refine(x.amax(1, keepdim=True), x, radius=max(2, round(0.06 * min(x.shape[-2:]))), eps=1e-3)
    limit = float(quantiles(smooth, _between(0.4, 0.9, g)))
    behind = torch.sigmoid((smooth - limit) / 0.05)
    light, sky = _between(0.12, 0.5, g), min(3.0, max(1.0, 0.85 / max(limit, 0.1)))
    y = ((light * (1 - behind) + sky * behind) * x).clamp(0, 1) ** _between(1, 1.6, g)
    return _noisy(y, _between(0, 0.01, g), g)


def window(x: Tensor, g: torch.Generator) -> Tensor:
    """A dim room with one to three bright windows or glass doors, which have bars and show the photo mirrored."""
    rows, columns = x.shape[-2:]
    mask = torch.zeros(1, 1, rows, columns)
    count, tall = 1 + int(_between(0, 3, g)), _between(0.2, 0.7, g)
    top, left, wide = _between(0, 0.9 - tall, g), _between(0, 0.5, g), _between(0.1, 0.35, g)
    for _ in range(count):
        mask[..., int(top * rows) : int((top + tall) * rows), int(left * columns) : int((left + wide) * columns)] = 1
        left += wide + _between(0.02, 0.1, g)
    bar, panes = max(1, round(0.012 * min(rows, columns))), 2 + int(_between(0, 4, g))
    for i in range(1, panes):
        row = int((top + tall * i / panes) * rows)
        mask[..., row : row + bar, :] = 0
    glow = _smooth(mask, 0.4)
    room = _between(0.08, 0.35, g) * (0.6 + 0.8 * glow) * made_up_map(x, g) ** _between(0, 1, g) * x
    outside = (_between(1.2, 3, g) * x.flip(-1) + _between(0, 0.3, g)).clamp(0, 1)
    y = room * (1 - mask) + outside * mask + _between(0, 0.06, g) * glow  # light is scattered in the lens
    return _noisy(y.clamp(0, 1) ** _between(0.9, 1.4, g), _between(0, 0.012, g), g)


def dusk(x: Tensor, g: torch.Generator) -> Tensor:
    """A sky after sunset over hills, woods or roofs: below this horizon, the photo has little light."""
    rows, columns = x.shape[-2:]
    down, base = torch.linspace(0, 1, rows)[:, None], _between(0.3, 0.7, g)
    hills = torch.randn(columns, generator=g).cumsum(0) * _between(0.002, 0.02, g)
    horizon = (base + hills - hills.mean()).clamp(0.15, 0.85)
    if _between(0, 1, g) < 0.5:
        horizon = (horizon * 12).round() / 12  # roofs
    above = torch.sigmoid((horizon - down) / 0.01)[None, None]
    low = [1.0, _between(0.6, 0.95, g), _between(0.3, 0.9, g)]
    high = [_between(0.2, 0.7, g), _between(0.35, 0.8, g), _between(0.6, 1, g)]
    share = (down / base).clamp(0, 1) ** _between(0.7, 2, g)
    color = torch.tensor(high).view(1, 3, 1, 1) * (1 - share) + torch.tensor(low).view(1, 3, 1, 1) * share
    clouds = _smooth(x.mean(1, keepdim=True), 0.08)
    clouds = 1 + _between(0, 0.4, g) * (clouds - clouds.mean()) / (clouds.std() + 0.05)
    sky = color * clouds * _between(0.6, 1.05, g)
    y = (sky * above + _between(0.08, 0.4, g) * x * (1 - above)).clamp(0, 1) ** _between(0.9, 1.4, g)
    return _noisy(y, _between(0, 0.01, g), g)


def water(x: Tensor, g: torch.Generator) -> Tensor:
    """Blue, green or deep water of some meters."""
    distance = _between(0.4, 1.6, g) * (0.4 + 0.6 * made_up_map(x, g))
    absorbed, veil = (torch.tensor(each).view(1, 3, 1, 1) for each in WATERS[int(_between(0, len(WATERS), g))])
    t = (-absorbed * distance).exp()
    return _noisy(t * x + (veil * _between(0.7, 1.4, g)).clamp(0, 1) * (1 - t), 0.006, g)


def blur(x: Tensor, g: torch.Generator) -> Tensor:
    """A quarter each of the photos under a Gaussian, a disc or a straight motion, or made smaller."""
    kind = int(_between(0, 4, g))
    if kind == 3:
        return F.interpolate(x, scale_factor=1 / (2 + int(_between(0, 3, g))), mode="area")
    sizes = _between(1, 2.6, g), _between(1.8, 4.5, g), _between(4, 14, g)
    kernel = kernel_of(("gaussian", "disc", "line")[kind], sizes[kind], _between(0, math.pi, g))
    down, across = (side // 2 for side in kernel.shape)
    wide = F.pad(x, (across, across, down, down), mode="replicate")
    return _noisy(F.conv2d(wide.transpose(0, 1), kernel[None, None]).transpose(0, 1), 0.01, g)


def blurred_haze(x: Tensor, g: torch.Generator) -> Tensor:
    """Haze, and then blur."""
    return blur(haze(x, g), g)


KINDS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "haze": haze, "darkness": darkness, "backlight": backlight, "window": window, "dusk": dusk, "water": water,
    "blur": blur, "blurred haze": blurred_haze,
}  # fmt: skip


def _between(low: float, high: float, g: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=g))


def _smooth(x: Tensor, share: float) -> Tensor:
    """Means of windows whose side is a share of the photo's short side."""
    side = max(3, int(share * min(x.shape[-2:])) // 2 * 2 + 1)
    return F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)


def _noisy(y: Tensor, sigma: float, g: torch.Generator) -> Tensor:
    """``y`` with white noise, in 8 bits."""
    return ((y + sigma * torch.randn(y.shape, generator=g)).clamp(0, 1) * 255).round() / 255
