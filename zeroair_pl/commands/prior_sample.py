"""``zeroair prior sample``: draws images from a prior alone, without a photo."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from jsonargparse import lazy_instance

from zeroair_pl import console
from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import at_home
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.priors import Prior, UNetPrior
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.sampling.unconditional import draw

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

_SOFTWARE = "zeroair-pl prior sample"


@ranged()
def sample(
    out: Path = Path("samples.png"),
    prior: Prior = lazy_instance(UNetPrior),  # noqa: B008 - a description of the default, built when it is needed
    count: Annotated[int, Range(1)] = 16,
    size: Annotated[int, Range(1)] = 64,
    steps: Annotated[int, Range(1)] = 50,
    seed: Annotated[int, Range(0)] = 0,
) -> Path:
    """Draw images from a prior, from pure noise, into one picture: a grid, row by row.

    Args:
        out: the picture, a PNG.
        prior: the prior, with the options that restore has: --prior.path, --prior.precision and the others.
        count: number of images. Each has its own random numbers, so a larger count does not change the first ones.
        size: side of the images in pixels. A network with attention draws best at the size it was trained at.
        steps: noise levels to visit, from pure noise to clean; one forward pass each.
        seed: of the random numbers.

    Returns:
        The picture.
    """
    import torch
    from PIL import Image
    from torchvision.utils import make_grid

    out = at_home(out)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out is {out}, expected a name that ends in .png")
    if out.exists() and not _ours(out):
        raise ConfigError(f"--out {out}: exists, and is not a picture of samples; name another file.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    began = time.perf_counter()
    images = draw(prior.to(device), count, size, steps, seed, device)
    grid = make_grid(images, nrow=max(1, round(count**0.5)), padding=2)
    encoded = io.BytesIO()
    Image.fromarray((grid * 255).round().byte().permute(1, 2, 0).numpy()).save(encoded, "PNG", pnginfo=_mark())
    write_atomically(out, encoded.getvalue())
    seconds = time.perf_counter() - began
    console.show(f"{count} samples of {prior.name} at {size}x{size} in {steps} steps, {seconds:.1f} s: {out}")
    return out


def _mark() -> PngInfo:
    """A mark inside the PNG that says who wrote it: only a file with this mark is replaced."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", _SOFTWARE)
    return info


def _ours(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == _SOFTWARE
    except (OSError, ValueError):
        return False
