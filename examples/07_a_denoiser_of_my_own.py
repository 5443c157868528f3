"""A function as the prior: whatever removes white noise of a known level knows something of clean photos.

    python examples/07_a_denoiser_of_my_own.py [PHOTO] [FOLDER]
    zeroair restore photo.jpg --config denoise --prior.path examples/07_a_denoiser_of_my_own.py:wiener

This one is Wiener's filter in windows of two sizes. How well it does at each noise level is measured at its first use,
and the method trusts it as much.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import zeroair_pl

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
FILE = Path(globals().get("__file__", "07_a_denoiser_of_my_own.py")).resolve()
PHOTO = FILE.parent / "photos" / "noise_blossom.png"
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
def wiener(x: Tensor, sigma: Tensor) -> Tensor:
    """m + v/(v + σ²)·(x − m) with the mean m and the variance v of the clean photo around each pixel.

    Args:
        x: noisy images, (B, 3, H, W) in [0, 1].
        sigma: (B,) standard deviation of the noise on each.
    """
    noise = sigma.to(x).square()[:, None, None, None]
    found = x
    for side in (9, 5):  # the wide window first: what it leaves is seen by the narrow one, with less noise
        mean = around(found, side)
        variance = (around(found.square(), side) - mean.square() - noise).clamp(min=0)
        share = variance / (variance + noise)
        found = mean + share * (found - mean)
        noise = noise * share.square().mean((1, 2, 3), keepdim=True)
    return found


# %%
def around(x: Tensor, side: int) -> Tensor:
    """The mean over a square window."""
    return F.avg_pool2d(F.pad(x, [side // 2] * 4, mode="replicate"), side, stride=1)


# %%
def main(photo: Path = PHOTO, out: Path = Path("restored/my_denoiser"), **settings: Any) -> Path:
    prior = {"class_path": "UNetPrior", "init_args": {"path": f"{FILE}:wiener"}}
    method = zeroair_pl.Method.from_config("denoise", prior=prior, **settings)
    levels = torch.tensor([5.0, 25.0, 50.0]) / 255
    pairs = zip(method.prior.rmse(levels).tolist(), levels.tolist(), strict=True)
    errors = ", ".join(f"{255 * error:.1f} at {255 * sigma:.0f}" for error, sigma in pairs)
    print(f"error of the filter by noise level, in /255: {errors}")
    restored = method.restore(photo)
    return restored.save(out / f"{photo.stem}.png")


# %%
if __name__ == "__main__":
    print(f"restored: {main(*(Path(word) for word in WORDS))}")
