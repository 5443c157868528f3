"""Demosaicing in thirty lines: a sensor sees one color at each pixel, and the prior knows what the others may be.

    python examples/06_an_operator_of_my_own.py [CLEAN_PHOTO] [FOLDER]

What is known of an operator goes into two places: ``forward``, and here, since it only hides values, the noise model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import zeroair_pl
from zeroair_pl.degradations import Degradation, Denoise, NoiseModel, Observation, Side
from zeroair_pl.photos.reading import load_photo

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
HERE = Path(globals().get("__file__", "notebook")).resolve().parent
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
def seen(y: Tensor) -> Tensor:
    """(1, 3, H, W): 1 where a Bayer sensor (R G / G B) has looked, 0 elsewhere."""
    mask = torch.zeros_like(y)
    mask[:, 0, ::2, ::2] = mask[:, 1, ::2, 1::2] = mask[:, 1, 1::2, ::2] = mask[:, 2, 1::2, 1::2] = 1
    return mask


# %%
class OneColorEach(NoiseModel):
    """Says nothing of the colors that were not seen."""

    def variance(self, y: Tensor, y_hat: Tensor) -> Tensor:
        return super().variance(y, y_hat).where(seen(y) > 0, torch.inf)


# %%
class Bayer(Degradation):
    """y = x + n in one color of each pixel, and nothing in the other two."""

    pointwise = True  # each value of φ(x) = x depends on itself alone

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        self.noise = OneColorEach()
        self.noise.start(0.01)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def observe(self, y: Tensor) -> Observation | None:
        return None  # start from the neighbors' colors, and anneal

    def first_estimate(self, y: Tensor) -> Tensor:
        mask = seen(y)
        around = [F.avg_pool2d(F.pad(v, [1] * 4, mode="reflect"), 3, 1) for v in (y * mask, mask)]
        return torch.where(mask > 0, y, around[0] / around[1])

    def levels(self) -> tuple[float, float]:
        return 0.15, 0.01


# %%
def main(
    clean: str | Path = HERE / "clean" / "haze_workshop.png",
    folder: str | Path = "restored/example_06",
    **settings: Any,
) -> list[float]:
    truth = load_photo(clean).pixels
    mosaic = truth * seen(truth[None])[0]
    method = zeroair_pl.Method.from_config("denoise", degradation=Bayer, **settings)
    restored = method.restore(mosaic)
    print(f"restored: {restored.save(Path(folder) / 'restored.png')}")
    start = Bayer().first_estimate(mosaic[None])[0]
    return [float(-10 * (image - truth).square().mean().log10()) for image in (start, restored.pixels)]


# %%
if __name__ == "__main__":
    print("PSNR {:.2f} dB by the neighbors' means, {:.2f} dB restored".format(*main(*WORDS)))
