"""Writes a family of degradations of one's own, checks it on a photo degraded that way, and looks at what it learned.

Run it with: python examples/02_a_degradation_of_my_own.py [CLEAN_PHOTO [FOLDER]]

The class may as well stand in a file of its own in plugins/, where the command line finds it: see docs/plugins.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import zeroair_pl
from zeroair_pl.degradations import Degradation, Denoise, Side
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.writing import save_photo

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
HERE = Path(globals().get("__file__", "notebook")).parent
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
class Faded(Degradation):
    """An old print, y_c = b_c + (w_c − b_c)·x_c + n: black turned gray and white turned yellow, each channel its own.

    Starts from the darkest and brightest values of the photo, taken for what they are in most photos; test-time
    modeling then corrects both.

    Args:
        dark, bright: darkest and brightest values of most clean photos.
    """

    start: Tensor
    pointwise = True  # each value depends on the same pixel and channel of x alone: guidance has a closed form then

    def __init__(self, dark: float = 0.05, bright: float = 0.95) -> None:
        super().__init__()
        self.dark, self.bright = dark, bright

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)  # the noise level
        low, high = (y[0].flatten(1).quantile(q, dim=1).view(1, 3, 1, 1) for q in (0.005, 0.995))
        contrast = (high - low) / (self.bright - self.dark)
        black = low - contrast * self.dark
        self.register_buffer("start", torch.cat([black, black + contrast]))
        self.ends = nn.Parameter(self.start.clone())

    def forward(self, x: Tensor) -> Tensor:
        black, white = self.ends.split(1)
        return black + (white - black) * x

    def invert(self, y: Tensor) -> Tensor:
        black, white = self.ends.split(1)
        return (y - black) / (white - black).clamp(min=0.05)

    def penalty(self) -> Tensor:
        # In nats: two other black points explain the photo as well, and the start is known to about 0.03.
        return super().penalty() + 0.5 * ((self.ends - self.start) / 0.03).square().mean()

    def diagnostics(self) -> dict[str, Tensor]:
        black, white = self.ends.split(1)
        return {"black": black, "white": white}


# %%
def main(
    clean: str | Path = HERE / "clean" / "haze_workshop.png",
    folder: str | Path = "restored/example_02",
    **settings: Any,
) -> list[float]:
    folder = Path(folder)
    photo = load_photo(clean)
    black, white = torch.tensor([[0.30, 0.22, 0.15], [0.90, 0.80, 0.60]])[..., None, None]
    faded = black + (white - black) * photo.pixels
    noisy = faded + 0.01 * torch.randn(faded.shape, generator=torch.Generator().manual_seed(0))
    save_photo(folder / "faded.png", noisy, photo)
    # A list may name the truth. It is for the table alone: no fit ever sees it.
    (folder / "photos.csv").write_text(f"image,reference\nfaded.png,{Path(clean).resolve()}\n")

    # A class, or a Faded(bright=0.9), stands where a config has a name; all other settings are those of this config.
    settings = {"degradation": Faded, "overwrite": True, **settings}
    results = zeroair_pl.restore(folder / "photos.csv", "denoise", out=folder / "restored", **settings)
    (row,) = results.rows
    if row.psnr is None or row.psnr_input is None:
        raise SystemExit(row.reason)
    print(f"PSNR {row.psnr_input:.2f} dB faded, {row.psnr:.2f} dB restored; what was learned is in the picture")
    print(f"{results.folder / 'strips' / row.name}.png")
    return [row.psnr_input, row.psnr]


# %%
if __name__ == "__main__":
    main(*WORDS)
