"""JPEG compression: each DCT coefficient of the clean photo is within half a quantization step of the file's."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.blocks import dct, inverse_dct, smooth_inverse, to_rgb, to_ycc, truncated_mean
from zeroair_pl.degradations.jpeg_tables import Tables, found_in, middle
from zeroair_pl.degradations.noise_level import look_at_noise, rounding
from zeroair_pl.ranges import Range

COARSER = 1.5  # the mean luma step of an earlier file, relative to that of the present one
SHIFT = 128 / 255  # subtracted from luma before the DCT
BAND = 512  # rows that are computed at once
FIRST, LAST = 0.09, 0.02  # noise levels for a mean luma step of STEP; they grow with the square root of the step
CLEARING = 0.06, 0.04, 0.028  # noise levels of the passes that remove JPEG before an earlier link of a chain starts
LEFT = 0.03  # root-mean-square error of the restored photo, for a mean luma step of STEP
STEP = 144 / 255  # about the mean luma step of quality 20


class Jpeg(Degradation):
    """y is the decoded image of q·round(D S Y x / q): Y converts to luma and chroma, S subsamples chroma by means, D is
    the 8×8 DCT, q the quantization steps.

    The JPEG file states q and S, unless the pixels show that it was saved with larger steps before. For other files
    (such as a PNG made from a JPEG) they are found from the histograms of the coefficients. A photo without signs of
    compression is only denoised. The proximal step has a closed form: each coefficient d0 of x0 moves to the mean of
    N(d0, e²), truncated to the interval that rounds to the file's value.

    Args:
        quality: of the tables of the Independent JPEG Group, 1 to 100; 0 to take the tables from the file, or to find
            them.
    """

    def __init__(self, quality: Annotated[float, Range(0, 100)] = 0.0) -> None:
        super().__init__()
        self.quality = quality
        self.tables: Tables | None = None

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        if self.quality:
            tables: Tables | None = Tables.of_quality(self.quality)
        else:
            tables = stated_or_earlier(y, Tables.of_file(side["jpeg"])) if "jpeg" in side else found_in(y)
        if tables is not None:  # else there is no sign of compression
            self.take(y, tables)

    def take(self, y: Tensor, tables: Tables) -> None:
        """Sets the tables, and the coefficients of the photo ``y`` (1, 3, H, W)."""
        self.tables = tables
        luma, chroma = self._coefficients(y, decoded=True)
        q, r = self._steps()
        self.register_buffer("luma", (luma / q).round().to(torch.int16))
        self.register_buffer("chroma", (chroma / r).round().to(torch.int16))

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.noise.start(look_at_noise(y, denoise), rounding(y))

    @property
    def coarseness(self) -> float:
        """Square root of the mean luma step divided by that of quality 20; 0 for a photo without compression."""
        return 0.0 if self.tables is None else float((self.tables.luma.mean() / STEP).sqrt())

    def levels(self) -> tuple[float, float]:
        scale = max(self.coarseness, 0.05)
        return FIRST * scale, LAST * scale

    def forward(self, x: Tensor) -> Tensor:
        if self.tables is None:
            return x
        with torch.no_grad():
            q, r = self._steps()
            luma, chroma = self._coefficients(x)
            rounded = self._picture((luma / q).round() * q, (chroma / r).round() * r, x.shape) + SHIFT
        return x + (rounded - x).detach()  # the gradient is that of the identity

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        if self.tables is None:
            return super().proximal(x0, y, error)
        up, left, below, right = self._padding(x0.shape)
        (q, r), down = self._steps(), self.tables.pool[0]
        x = F.pad(x0, (left, right, up, below), mode="replicate").clone()
        for top in range(0, x.shape[-2], BAND):  # in bands of rows, to save memory; each ``d`` becomes a change
            band = x[..., top : top + BAND, :]
            luma, chroma = self._transformed(band)
            for d, c, step, high in (
                (luma, self.get_buffer("luma"), q, 8),
                (chroma, self.get_buffer("chroma"), r, 8 * down),
            ):
                file = c[:, :, top // high : top // high + d.shape[2]] * step
                d.copy_(truncated_mean(d, file - step / 2, file + step / 2, error) - d)
            band += self._colors(luma, chroma)
        return x[..., up : up + x0.shape[-2], left : left + x0.shape[-1]].contiguous()

    @property
    def unsure(self) -> float:  # type: ignore[override]
        return LEFT * self.coarseness

    def cleared(self, y: Tensor, denoise: Denoise) -> Tensor:
        z = y
        for level in CLEARING if self.tables is not None else ():
            z = self.proximal(denoise(z, level), y, y.new_tensor([1.5 * level]))
        return z

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return []  # the tables determine φ

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return z

    def diagnostics(self) -> dict[str, Tensor]:
        quality = 100.0 if self.tables is None else self.tables.quality()
        return {"quality": self.noise_level().new_full((1, 1, 1, 1), quality)}

    def _steps(self) -> tuple[Tensor, Tensor]:
        assert self.tables is not None
        like = self.noise.log_sigma
        return self.tables.luma.to(like.device), self.tables.chroma.to(like.device)

    def _coefficients(self, x: Tensor, decoded: bool = False) -> tuple[Tensor, Tensor]:
        """Of luma and chroma, (1, C, rows, columns, 8, 8) each; of a ``decoded`` picture, those that were decoded."""
        up, left, below, right = self._padding(x.shape)
        return self._transformed(F.pad(x, (left, right, up, below), mode="replicate"), decoded)

    def _transformed(self, x: Tensor, decoded: bool = False) -> tuple[Tensor, Tensor]:
        """The same of an ``x`` whose sides are multiples of those of a block."""
        assert self.tables is not None
        down, across = self.tables.pool
        ycc = to_ycc(x)
        luma, chroma = ycc[:, :1] - SHIFT, ycc[:, 1:]
        if (down, across) != (1, 1):
            chroma = F.avg_pool2d(chroma, (down, across))
            if decoded and down == 2:  # the decoder has smoothed them
                chroma = smooth_inverse(chroma.transpose(-1, -2)).transpose(-1, -2)
            if decoded and across == 2:
                chroma = smooth_inverse(chroma)
        return dct(luma), dct(chroma)

    def _picture(self, luma: Tensor, chroma: Tensor, shape: Any) -> Tensor:
        """The RGB picture of coefficients, without the gray of the shift."""
        up, left, *_ = self._padding(shape)
        return self._colors(luma, chroma)[..., up : up + shape[-2], left : left + shape[-1]]

    def _colors(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """The same with the padding."""
        assert self.tables is not None
        light, color = inverse_dct(luma), inverse_dct(chroma)
        if self.tables.pool != (1, 1):
            color = color.repeat_interleave(self.tables.pool[0], -2).repeat_interleave(self.tables.pool[1], -1)
        return to_rgb(torch.cat([light, color], 1))

    def _padding(self, shape: Any) -> tuple[int, int, int, int]:
        assert self.tables is not None
        (down, across), tables = self.tables.pool, self.tables
        up, left = tables.top % (8 * down), tables.left % (8 * across)
        return up, left, -(shape[-2] + up) % (8 * down), -(shape[-1] + left) % (8 * across)


def stated_or_earlier(y: Tensor, stated: Tables) -> Tables:
    """The tables ``stated`` by the file of ``y`` (1, 3, H, W), or an earlier file's if the pixels show larger steps.

    An edited JPEG of low quality, or a screenshot of one, is a file of high quality with the old blocks.
    """
    part = middle(y)
    earlier = found_in(part) if min(part.shape[-2:]) >= 48 else None
    return earlier if earlier is not None and earlier.luma.mean() > COARSER * stated.luma.mean() else stated
