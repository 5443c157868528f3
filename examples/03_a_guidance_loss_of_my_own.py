"""Writes a guidance loss of one's own, and restores a photo with and without it.

Run it with: python examples/03_a_guidance_loss_of_my_own.py [PHOTO [FOLDER]]

The class may as well stand in a file of its own in plugins/, where the command line finds it: see docs/plugins.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import Tensor

import zeroair_pl
from zeroair_pl.guidance import GuidanceLoss, GuidanceState
from zeroair_pl.guidance.base import per_image_mean
from zeroair_pl.photos.reading import load_photo

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
HERE = Path(globals().get("__file__", "notebook")).parent
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
class Calm(GuidanceLoss):
    """Total variation, mean √(|∇x0|² + ε²): flat areas become flatter, edges stay (Rudin, Osher & Fatemi, 1992).

    Args:
        epsilon: differences between neighbors well below it, in units of [0, 1], count as none.
    """

    def __init__(self, epsilon: float = 0.02) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, state: GuidanceState) -> Tensor:
        return roughness(state.x0, self.epsilon)


# %%
def roughness(x: Tensor, epsilon: float = 0.0) -> Tensor:
    """(B,): mean length of the gradient of (B, 3, H, W)."""
    down = (x[..., 1:, :-1] - x[..., :-1, :-1]).square()
    right = (x[..., :-1, 1:] - x[..., :-1, :-1]).square()
    return per_image_mean((down + right + epsilon**2).sqrt())  # one value for each image, never mixed over the batch


# %%
def main(
    photo: str | Path = HERE / "photos" / "noise_blossom.png",
    folder: str | Path = "restored/example_03",
    **settings: Any,
) -> list[float]:
    # The weight is in nats an element: 4 says that a difference of 1/4 between neighbors is e times rarer than none.
    term = {"loss": Calm(), "weight": 4}
    found = []
    for name, terms in (("without", []), ("with", [term])):
        settings = {"sampling": {"steps": 8}, "overwrite": True, **settings, "guidance": {"terms": terms}}
        results = zeroair_pl.restore(photo, "denoise", out=Path(folder) / name, **settings)
        (row,) = results.rows
        if row.status == "failed":
            raise SystemExit(row.reason)
        found.append(float(roughness(load_photo(results.folder / row.output).pixels[None])))
        print(f"{name:>7}: mean difference between neighbors {255 * found[-1]:.2f}/255")
    return found


# %%
if __name__ == "__main__":
    main(*WORDS)
