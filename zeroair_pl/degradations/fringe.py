"""Color fringes: a lens draws red and blue a little larger or smaller than green (lateral chromatic aberration)."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.maps import thumbnail
from zeroair_pl.ranges import Range

COARSE, FINE = 128 * 128, 1024 * 1024  # pixels of the copies of the photo in which the sizes are searched
MOST, STEPS = 2.5, 21  # largest shift in the corners, in pixels of the coarse copy; shifts that are tried
NEAR, NEARER = 0.1, 9  # the same for the fine copy, around the best shift of the coarse one
SIGHT = 0.2  # pixels; a smaller shift in the corners cannot be seen, and in sharp photos up to 0.15 are found
SURE = 0.005  # gain in correlation from which on a shift is believed
CHANNELS = {"red": 0, "blue": 2}
TAPS = 3  # of the Lanczos kernel, to each side


class Fringe(Degradation):
    """y_c(p) = x_c(p / (1 + s_c)) + n for red and blue; p is the place relative to the middle of the photo.

    Edges are in the same places in all channels of a clean photo. So s is the one for which the edges of the channel
    are most alike those of green: a global search maximizes the correlation of their gradients, in a small copy of the
    photo first. φ⁻¹ resamples both channels, and leaves the noise of the photo as it is.

    Args:
        red, blue: shift of the channel in the corners, outwards, in percent of the distance from the middle (100·s);
            null to find it.
    """

    def __init__(
        self,
        red: Annotated[float | None, Range(-5, 5)] = None,
        blue: Annotated[float | None, Range(-5, 5)] = None,
    ) -> None:
        super().__init__()
        self.stated = {"red": red, "blue": blue}

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        for name, channel in CHANNELS.items():
            stated = self.stated[name]
            size = found_in(y, channel) if stated is None else stated / 100
            self.register_buffer(f"size_{name}", y.new_full((1, 1, 1, 1), size))
        super().initialize(y, side, denoise)

    def forward(self, x: Tensor) -> Tensor:
        return self._resampled(x, 1)

    def invert(self, y: Tensor) -> Tensor:
        return self._resampled(y, -1)

    def _resampled(self, x: Tensor, sign: int) -> Tensor:
        planes = list(x.split(1, 1))
        for name, channel in CHANNELS.items():
            planes[channel] = scaled(planes[channel], (1 + self.get_buffer(f"size_{name}").flatten()) ** sign)
        return torch.cat(planes, 1)

    def observe(self, y: Tensor) -> Observation | None:
        return Observation(self.invert(y), self.noise_level() * torch.ones_like(y))

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        e2 = error.square().view(1, 1, 1, 1)
        share = e2 / (e2 + self.noise.variance(y, y))
        return x0 + share * self.invert(y - self(x0))  # φ only moves values, so its inverse is nearly its transpose

    @property
    def scales(self) -> bool:
        return True  # s is relative to the size of the photo

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.noise.parameters()), "lr": lr}]

    @property
    def untouched(self) -> bool:
        return not any(bool(self.get_buffer(f"size_{name}").any()) for name in CHANNELS)

    def diagnostics(self) -> dict[str, Tensor]:
        return {name: 100 * self.get_buffer(f"size_{name}") for name in CHANNELS}


def found_in(y: Tensor, channel: int) -> float:
    """s of a channel of the photo (1, 3, H, W); 0 if it is too small to be seen."""
    best, gain, coarse = 0.0, 0.0, thumbnail(y, COARSE)
    for small, most, count in ((coarse, MOST, STEPS), (thumbnail(y, FINE), NEAR, NEARER)):
        green = _gradients(small[:, 1:2])
        reach = most / _corner(coarse)
        sizes = (best + torch.linspace(-reach, reach, count)).tolist()
        likeness = [_likeness(small, channel, size, green) for size in sizes]
        best = _top(sizes, likeness)
        gain = _likeness(small, channel, best, green) - _likeness(small, channel, 0.0, green)
    return best if abs(best) * _corner(y) > SIGHT and gain > SURE else 0.0


def _corner(y: Tensor) -> float:
    """Distance of the corners from the middle, in pixels."""
    return math.hypot(*y.shape[-2:]) / 2


def _top(places: list[float], values: list[float]) -> float:
    """The place of the largest value: the top of the parabola through it and its neighbors."""
    k = max(range(len(values)), key=values.__getitem__)
    if not 0 < k < len(values) - 1:
        return places[k]
    low, top, high = values[k - 1 : k + 2]
    bend = low - 2 * top + high
    return places[k] + (0.5 * (low - high) / bend * (places[k + 1] - places[k]) if bend < 0 else 0.0)


def _likeness(small: Tensor, channel: int, size: float, green: Tensor) -> float:
    """Correlation of the gradients of ``green`` with those of a channel that was moved back by s = ``size``."""
    own = _gradients(scaled(small[:, channel : channel + 1], small.new_tensor([1 / (1 + size)])))
    return float((own * green).sum() / (own.square().sum() * green.square().sum()).sqrt().clamp(min=1e-9))


def _gradients(plane: Tensor) -> Tensor:
    """Compressed gradients of a plane (1, 1, H, W) in both directions, of means, which resampling changes little."""
    soft = F.avg_pool2d(plane, 2, 1)
    steps = torch.cat([soft[..., 1:, :-1] - soft[..., :-1, :-1], soft[..., :-1, 1:] - soft[..., :-1, :-1]], 1)
    return steps / (steps.abs() + 0.02).sqrt()


def scaled(plane: Tensor, factor: Tensor) -> Tensor:
    """A plane (B, 1, H, W) drawn larger by ``factor`` (1,) around its middle, on the same pixels (Lanczos)."""
    for axis in (-2, -1):
        length = plane.shape[axis]
        middle = (length - 1) / 2
        places = (torch.arange(length, dtype=torch.float64, device=plane.device) - middle) / factor.double() + middle
        first = places.floor()
        weights = [_lanczos(places - first - tap) for tap in range(1 - TAPS, TAPS + 1)]
        total, moved = sum(weights), torch.zeros_like(plane)
        for k, weight in enumerate(weights):
            index = (first.long() + k + 1 - TAPS).clamp(0, length - 1)
            share = (weight / total).to(plane)
            moved = moved + plane.index_select(axis, index) * (share[:, None] if axis == -2 else share)
        plane = moved
    return plane


def _lanczos(t: Tensor) -> Tensor:
    return torch.sinc(t) * torch.sinc(t / TAPS) * (t.abs() < TAPS)
