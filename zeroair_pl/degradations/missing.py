"""Missing pixels: holes that a mask shows, or specks, scratches and dead lines without a mask."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Observation, Side
from zeroair_pl.degradations.noise_level import look_at_noise, rounding
from zeroair_pl.degradations.noise_models import NoiseModel
from zeroair_pl.degradations.outliers import Outliers
from zeroair_pl.degradations.stamps import stamp_in
from zeroair_pl.errors import InputError

MARKED, FOUND = (0.4, 0.02), (0.2, 0.02)  # noise levels with and without a mask
COARSE = 1 / 2  # share of the levels at half size, with a mask
NOISY = 2 / 255, 4 / 255  # noise levels: known pixels stay as they are below the first, are denoised above the second
LARGE = 4e6  # pixels of a photo from which on it takes fewer levels
FEWER = 0.75, 0.7  # their shares with and without a mask; 7 instead of 10 cost specks 0.04 dB
EXPECTED = (
    "expected a mask, a color such as '#ff00ff', or alpha. The config despeckle needs none of these: it finds specks "
    "and scratches by itself."
)
LEARNED_FROM = 1 / 3  # share of the levels before learning begins: until then, the clean estimate shows too little


class MissingPixels(NoiseModel):
    """White noise on the pixels that show the scene: the variance σ²/w, infinite where w is 0.

    Attributes:
        seen: w, (1, 1, H, W) in [0, 1], the probability that a pixel shows the scene.
    """

    def __init__(self, seen: Tensor) -> None:
        super().__init__()
        self.register_buffer("seen", seen)

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        seen = self.get_buffer("seen")
        return (super().variance(y, y_hat) / seen.clamp(min=1e-6)).where(seen > 1e-3, torch.inf)


class Missing(Degradation):
    """y = x + n where a pixel shows the scene, and any value elsewhere.

    A mask (``--missing``, or the side information ``missing``: 1 where a pixel is missing) says which pixels show the
    scene. Without a mask, the probability w of each pixel is learned by expectation maximization (``Outliers``): w is
    low where the pixel is far from the prior's clean estimate. This finds specks, scratches, hot and dead pixels and
    lines, but not large objects. A date in a corner is found by its form and color (``stamp_in``). Pixels that show the
    scene stay the same to the bit if they have little noise.

    Args:
        find: look for specks in a photo without a mask. If false, such a photo is refused: somebody who wants a hole
            filled must not get a photo with the hole in it.

    Raises:
        InputError: by ``initialize``, for a photo without a mask, if ``find`` is false.
    """

    pointwise = True

    def __init__(self, find: bool = True) -> None:
        super().__init__()
        self.find = find
        self.outliers: Outliers | None = None
        self.stamp: Tensor | None = None  # 1 on the digits of a date, (1, 1, H, W)

    @property
    def coarse(self) -> float:  # type: ignore[override]
        return COARSE if self.outliers is None else 0.0

    @property
    def enough(self) -> float:  # type: ignore[override]
        return FEWER[self.outliers is not None] if self.seen.numel() > LARGE else 1.0

    @property
    def scales(self) -> bool:
        return False  # a smaller copy of the photo does not show specks

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        if "missing" in side:
            seen = 1 - side["missing"].to(y)
            self.register_buffer("filled", filled(y, seen))
        elif not self.find:
            raise InputError(f"missing: nothing says what is to be filled; {EXPECTED}")
        else:
            self.stamp = stamp_in(y)
            self.outliers = Outliers(y)
            seen, start = self._found(), self.outliers.filled
            self.register_buffer("filled", start if self.stamp is None else filled(start, 1 - self.stamp))
        self.register_buffer("y", y)
        self.noise = MissingPixels(seen.clone())
        super().initialize(self.get_buffer("filled"), side, denoise)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.noise.start(look_at_noise(y, denoise), rounding(y))

    @property
    def seen(self) -> Tensor:
        """w, (1, 1, H, W)."""
        return self.noise.get_buffer("seen")

    def _found(self) -> Tensor:
        """w without a mask, (1, 1, H, W)."""
        assert self.outliers is not None
        return self.outliers.seen if self.stamp is None else self.outliers.seen * (1 - self.stamp)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def observe(self, y: Tensor) -> Observation | None:
        return None  # AnnealedSampler fills holes better, since it starts from the pixels around them

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        e2 = error.square().view(1, 1, 1, 1)
        return torch.lerp(x0, y, e2 / (e2 + self.noise.variance(y, x0)))

    def first_estimate(self, y: Tensor) -> Tensor:
        return self.get_buffer("filled").clamp(0, 1)

    def levels(self) -> tuple[float, float] | None:
        return MARKED if self.outliers is None else FOUND

    def learn(self, x0: Tensor, y: Tensor, moment: Moment) -> None:
        if self.outliers is not None and moment.progress >= LEARNED_FROM:
            self.outliers.update(x0)
            self.seen.copy_(self._found())

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return []  # the first estimate of the noise, in flat parts, is the best one; ``learn`` finds w

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        low, high = NOISY
        denoised = ((self.noise_level() - low) / (high - low)).clamp(0, 1)
        return torch.lerp(x0, torch.lerp(self.get_buffer("y"), x0, denoised), self.seen)

    def diagnostics(self) -> dict[str, Tensor]:
        return {"missing": 1 - self.seen}


def filled(y: Tensor, seen: Tensor) -> Tensor:
    """``y`` (1, 3, H, W) with its missing pixels replaced by means of the seen pixels in growing squares around them.

    Args:
        seen: (1, 1, H, W), 1 where a pixel shows the scene, 0 where it is missing.
    """
    if min(y.shape[-2:]) < 2 or bool(seen.bool().all()):
        return y
    count = F.avg_pool2d(seen, 2, ceil_mode=True)
    mean = F.avg_pool2d(y * seen, 2, ceil_mode=True) / count.clamp(min=1e-6)
    coarse = filled(mean, (count > 0).to(y)) if bool((count == 0).any()) and bool((count > 0).any()) else mean
    size = (y.shape[-2], y.shape[-1])
    return torch.lerp(F.interpolate(coarse, size=size, mode="bilinear", align_corners=False), y, seen)
