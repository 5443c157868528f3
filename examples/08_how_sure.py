"""How sure a result is: several samples of what a photo may have looked like, their mean, and where they differ.

    python examples/08_how_sure.py [PHOTO] [FOLDER] [--samples N]

The photo is enlarged twice. Each sample takes another seed, and new noise at each pass of the prior. Written are
``sample.png`` (the first one), ``mean.png`` and ``unsure.png``, which is white where the samples differ by 0.1 or more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import zeroair_pl

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
FILE = Path(globals().get("__file__", "08_how_sure.py")).resolve()
PHOTO = FILE.parent / "photos" / "noise_blossom.png"
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
def main(photo: Path = PHOTO, folder: Path = Path("restored/how_sure"), count: int = 4) -> float:
    """The mean difference of the samples, a standard deviation in units of [0, 1]."""
    small = Image.open(photo).convert("RGB")
    sampling = {"sampler": {"class_path": "AnnealedSampler", "init_args": {"noise": 1.0, "momentum": 0.0}}}
    methods = [zeroair_pl.Method.from_config("upscale", sampling=sampling, seed=seed) for seed in range(count)]
    samples = np.stack([np.asarray(method.restore(small).image, np.float32) / 255 for method in methods])
    unsure = samples.std(0, ddof=1).mean(2)
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in (("sample", samples[0]), ("mean", samples.mean(0)), ("unsure", (10 * unsure).clip(0, 1))):
        Image.fromarray((255 * image).round().astype(np.uint8)).save(folder / f"{name}.png")
    print(f"{count} samples differ by {unsure.mean():.3f} in the mean, and by {unsure.max():.3f} at most: {folder}")
    return float(unsure.mean())


# %%
if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=PHOTO)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("restored/how_sure"))
    parser.add_argument("--samples", type=int, default=4)
    options = parser.parse_args(WORDS)
    main(options.photo, options.folder, options.samples)
