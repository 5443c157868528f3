"""Blur by defocus, motion or a soft lens: each point of the scene becomes a patch of the same form."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations import spectrum
from zeroair_pl.degradations.base import Degradation, Denoise, Side
from zeroair_pl.degradations.free_kernel import MODEL, Restoring, estimate_kernel, textured_part
from zeroair_pl.degradations.noise_level import rounding
from zeroair_pl.degradations.spectrum import Spectrum
from zeroair_pl.ranges import Range
from zeroair_pl.tensors.views import View

Kind = Literal["auto", "gaussian", "disc", "line", "free"]
RESPONSES = {"gaussian": spectrum.gaussian, "disc": spectrum.disc}
SHARP = {"gaussian": 0.7, "disc": 1.1, "line": 2.5}  # px; the search finds less for photos without blur
FIRST, LAST = 30 / 255, 4 / 255  # noise levels for a photo whose noise level is USUAL
USUAL = 2.55 / 255
PASSED = 0.5  # share of the error of x that remains after the blur
CODED = 5 / 255  # least noise level that stands for the errors of JPEG
COARSE, REVERSED = 1 / 3, -0.01  # share of the levels at half size, if the contrast of some waves is reversed by this
LARGE = 4e6  # pixels of a photo from which on it takes fewer levels
# Shares of the levels of a large photo: with levels at half the size, and without. And of photos that nothing is lost
# for with 8 and 7 levels instead of 12: with a kernel that was found freely, and without fine detail.
FEWER, FEWEST, FREE, LOST = 0.85, 0.65, 2 / 3, 0.6
PEAK = 0.35  # largest value of a free kernel; kernels found for photos without blur have 0.43 or more
MORE = 1.1  # gain in log-likelihood of a free kernel, relative to that of a form with few parameters, to be believed
PART = 512  # px; side of the part of a larger photo in which a free kernel is looked for
MANY = 2**20  # pixels of a photo from which on x gets a size that suits the Fourier transform
FILLS = 3  # repetitions per proximal step that fill in the pixels beyond the border


ONE = torch.ones(1, 1)  # the kernel of no blur


class Blur(Degradation):
    """y = M(h * x) + n: convolution with a kernel h of sum 1; M removes the border, where h reaches beyond the photo.

    x is larger than y by the radius of h on each side, so that the model assumes nothing about the scene beyond the
    border. The kernel comes with the photo (``--kernel``), or has a form with few parameters. A global search finds
    the parameters that are not given from the photo's spectrum (``spectrum.search``), without the prior. A photo
    without blur is only denoised. The proximal step is exact in the Fourier domain. The values of h * x beyond the
    border are filled in from the last iterate (expectation maximization).

    Args:
        kernel: ``gaussian``, ``disc`` (defocus), ``line`` (uniform motion), ``auto`` for the more likely of Gaussian
            and disc, or ``free`` for a kernel of any form up to 41 px, which takes a hundred passes of the prior at
            smaller sizes, of a large photo on a part with much texture, and may fail.
        size: standard deviation of the Gaussian, radius of the disc, or length of the line, in pixels; 0 to find it.
        angle: of the line, in degrees, counterclockwise from the right; with ``size`` 0 it is found too.
    """

    facts = ("_highest", "_noises")  # only used at the start
    batched = False  # the size of the border depends on the kernel

    def __init__(self, kernel: Kind = "auto", size: Annotated[float, Range(0, 60)] = 0.0, angle: float = 0.0) -> None:
        super().__init__()
        self._kernel, self.size, self.angle = kernel, size, angle
        self.found: dict[str, float] = {}
        self.room, self.large, self.lost, self.free = (0, 0), False, False, False

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self._highest, self._noises = spectrum.trusted(side, float(self.noise_level().detach()))
        if "kernel" in side:
            h = side["kernel"].to(y)
            self._noise_under(h, y)
        elif self._kernel == "free":
            h = self._free(y, denoise)
        else:
            h = self._of_few_numbers(y)
        self.register_buffer("h", h)
        self.large, self.lost = y[0, 0].numel() > LARGE, self._highest < spectrum.HIGHEST
        if y[0, 0].numel() > MANY:
            down, across = self.reach
            self.room = (spectrum.room(y.shape[-2] + 2 * down), spectrum.room(y.shape[-1] + 2 * across))

    def _of_few_numbers(self, y: Tensor) -> Tensor:
        """The kernel (k, k) of the stated or found form and parameters; (1, 1) if the photo shows no blur."""
        kind, size, angle = str(self._kernel), self.size, math.radians(self.angle)
        if size:
            kind = "gaussian" if kind in ("auto", "free") else kind
        elif kind == "line":
            noise = float(self.noise_level().detach())
            (size, angle), _ = spectrum.search(Spectrum(y, 60, 36, self._highest), spectrum.line, noise)
            angle = -angle  # the rows of an image run downwards
        else:
            kind, size = self._search(y)
        sharp = self.size == 0 and size < SHARP[kind]
        self.found = {"size": 0.0} if sharp else {"size": size}
        if kind == "line" and not sharp:
            self.found["angle"] = math.degrees(angle)
        return ONE.clone() if sharp else kernel_of(kind, size, angle)

    def _search(self, y: Tensor) -> tuple[str, float]:
        """The more likely of Gaussian and disc, and its size, with the most likely noise level, which σ starts from."""
        seen = Spectrum(y, highest=self._highest)
        names = [name for name in RESPONSES if self._kernel not in RESPONSES or name == self._kernel]
        tried = {(name, n): spectrum.search(seen, RESPONSES[name], n) for name in names for n in self._noises}
        kind, noise = min(tried, key=lambda place: tried[place][1])
        size = tried[kind, noise][0][0]
        if self._highest < spectrum.HIGHEST:
            noise = max(noise, CODED)
        self.noise.start(noise, rounding(y))
        return kind, size

    def _noise_under(self, h: Tensor, y: Tensor) -> None:
        """Starts σ from the most likely noise level for a known kernel ``h`` (h, w)."""
        seen = Spectrum(y, 60, 36, self._highest)
        response = spectrum.of_kernel(seen, h)[None]
        best = min(self._noises, key=lambda noise: float(seen.misfit(response, noise)))
        self.noise.start(best, rounding(y))

    def _free(self, y: Tensor, denoise: Denoise) -> Tensor:
        """A kernel of any form; (1, 1) if the photo shows no blur. σ then also covers the error of the kernel.

        If the spectrum speaks for it no more than for a Gaussian or a disc, the result is the more likely of these.
        """
        few, sizes = self._of_few_numbers(y), self.found
        noise, passes = float(self.noise_level().detach()), itertools.count()

        def restore(y: Tensor, kernel: Tensor, noise: float, way: Restoring) -> tuple[Tensor, Tensor]:
            phi = Blur().requires_grad_(False)
            phi.noise.start(noise)
            phi.register_buffer("h", kernel)
            x = center = phi.invert(y)
            for i, level in enumerate(way.levels):
                z = phi.proximal(center, y, torch.tensor([level / way.trust**0.5]))
                view = View(next(passes), i < way.halved)
                found = view.back(denoise(view.of(z), level), z)
                center = found + way.momentum * (found - x) if i else found
                x = found
            whole = phi._blurred(x, phi._transfer(x))
            phi._seen(whole).copy_(y)
            return x, whole

        kernel = estimate_kernel(textured_part(y, PART), noise, restore)
        self.found = {}
        if float(kernel.max()) > PEAK:
            return ONE.clone()
        seen = Spectrum(y, 60, 36, self._highest)
        none, simple, own = (float(seen.misfit(spectrum.of_kernel(seen, h)[None], noise)) for h in (ONE, few, kernel))
        if none - own < MORE * max(none - simple, 0):
            self.found = sizes
            return few
        self.noise.start(math.hypot(noise, MODEL))
        self.free = True
        return kernel

    @property
    def _reverses(self) -> bool:
        """Whether the kernel reverses the contrast of some waves, as a disc or a line; a Gaussian only fades detail."""
        h = self.get_buffer("h")
        grid = self._transfer(h.new_zeros(2 * max(h.shape), 2 * max(h.shape)))
        return float(grid.real.min()) < REVERSED

    @property
    def coarse(self) -> float:  # type: ignore[override]
        """0 for a kernel that only fades detail: half the size costs it 0.05 dB. Others gain 0.2 dB."""
        return COARSE if self._reverses else 0.0

    @property
    def enough(self) -> float:  # type: ignore[override]
        """Less than 1 for a large photo, which costs 0.1 dB, and where the last levels have nothing to add."""
        if self.lost or self.free:
            return LOST if self.lost else FREE
        return (FEWER if self._reverses else FEWEST) if self.large else 1.0

    @property
    def middle(self) -> int:  # type: ignore[override]
        """The spectrum is that of the middle; a free kernel is looked for where there is texture."""
        return 0 if self._kernel == "free" else spectrum.TAKEN

    @property
    def reach(self) -> tuple[int, int]:
        """(rows, columns), by which x extends beyond y on each side: the radius of the kernel, and some for the FFT."""
        h = self.get_buffer("h")
        return h.shape[0] // 2 + self.room[0], h.shape[1] // 2 + self.room[1]

    def passed(self, x: Tensor, error: Tensor) -> Tensor:
        return PASSED * error if self.get_buffer("h").numel() > 1 else error

    def shape(self, y: Tensor) -> tuple[int, int]:
        down, across = self.reach
        return y.shape[-2] + 2 * down, y.shape[-1] + 2 * across

    def forward(self, x: Tensor) -> Tensor:
        return self._seen(self._blurred(x, self._transfer(x)))

    def invert(self, y: Tensor) -> Tensor:
        down, across = self.reach
        return F.pad(y, (across, across, down, down), mode="replicate")

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        transfer = self._transfer(x0)
        weight = (self.noise_level() / error).square()
        power = transfer.abs().square() + weight
        z = x0.clone()
        for one, seen in zip(z.split(1, 1), y.split(1, 1), strict=True):  # a channel at a time needs less memory
            waves = torch.fft.rfft2(one)
            ahead = waves * weight
            for _ in range(FILLS if max(self.reach) else 1):
                whole = torch.fft.irfft2(waves.mul_(transfer), s=x0.shape[-2:])
                self._seen(whole).copy_(seen)
                waves = torch.fft.rfft2(whole).mul_(transfer.conj()).add_(ahead).div_(power)
            one.copy_(torch.fft.irfft2(waves, s=x0.shape[-2:]))
        return z

    def levels(self) -> tuple[float, float] | None:
        last = float(self.noise_level().detach()) / USUAL * LAST
        last = min(max(last, LAST / 2), 5 * LAST)
        return max(FIRST, 3 * last), last

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        return self._seen(x0)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return []  # the clean estimate is sharp, so a kernel fitted to it is too narrow; the spectrum finds it better

    def diagnostics(self) -> dict[str, Tensor]:
        h = self.get_buffer("h")
        shown = {"kernel": (h / h.max())[None, None]} if h.numel() > 1 else {}
        return {**shown, **{name: h.new_full((1, 1, 1, 1), value) for name, value in self.found.items()}}

    def _transfer(self, x: Tensor) -> Tensor:
        h = self.get_buffer("h").to(x)
        padded = F.pad(h, (0, x.shape[-1] - h.shape[1], 0, x.shape[-2] - h.shape[0]))
        return torch.fft.rfft2(padded.roll((-(h.shape[0] // 2), -(h.shape[1] // 2)), (0, 1)))

    def _blurred(self, x: Tensor, transfer: Tensor) -> Tensor:
        size = x.shape[-2:]
        return torch.cat([torch.fft.irfft2(torch.fft.rfft2(one) * transfer, s=size) for one in x.split(1, 1)], 1)

    def _seen(self, x: Tensor) -> Tensor:
        (down, across), (height, width) = self.reach, x.shape[-2:]
        return x[..., down : height - down, across : width - across]


def kernel_of(kind: str, size: float, angle: float = 0.0) -> Tensor:
    """A kernel (k, k), k odd, of sum 1, drawn on a grid ten times finer and then summed up.

    Args:
        kind: ``gaussian``, ``disc`` or ``line``.
        size: standard deviation, radius or length in pixels.
        angle: of a line, in radians, counterclockwise from the right.
    """
    radius = max(1, math.ceil({"gaussian": 3.5 * size, "disc": size + 0.5, "line": size / 2 + 0.5}[kind]))
    fine, side = 10, 2 * radius + 1
    places = (torch.arange(side * fine, dtype=torch.float64) + 0.5) / fine - side / 2
    down, across = places[:, None], places[None]
    if kind == "gaussian":
        values = torch.exp(-(down.square() + across.square()) / (2 * size**2))
    elif kind == "disc":
        values = (torch.hypot(down, across) <= size).double()
    else:
        along = across * math.cos(angle) - down * math.sin(angle)
        aside = across * math.sin(angle) + down * math.cos(angle)
        values = ((along.abs() <= size / 2) & (aside.abs() <= 0.5)).double()
    summed = values.view(side, fine, side, fine).sum((1, 3))
    return (summed / summed.sum()).float()
