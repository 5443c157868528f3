"""Draws docs/images/before_after.jpg, the picture in the README, from the photos that ``make demo`` has restored.

Run python benchmarks/picture.py [FOLDER]. FOLDER, by default restored/, has dehaze/, low_light/ and denoise/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor

from zeroair_pl.inspection.pictures import contact_sheet
from zeroair_pl.photos.reading import load_photo

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "before_after.jpg"
CELL = 280  # longest side of a photo in the picture, in pixels
# A real photo and a composed one of each kind, and one photo for noise.
PHOTOS = {
    "haze": ("dehaze", ["haze_mountain", "haze_workshop"]),
    "low light": ("low_light", ["dark_shore", "dark_tulips"]),
    "noise": ("denoise", ["noise_blossom"]),
}


def main(restored: Path = Path("restored"), picture: Path = PICTURE) -> None:
    rows: list[tuple[str, list[Tensor | None]]] = []
    for what, (folder, names) in PHOTOS.items():
        pictures: list[Tensor | None] = []
        for name in names:
            (before,) = (ROOT / "examples" / "photos").glob(f"{name}.*")
            degraded, after = load_photo(before).pixels, load_photo(restored / folder / before.name).pixels
            if len(names) == 1:  # shrinking a whole photo would hide noise
                degraded, after = _middle(degraded), _middle(after)
                pictures += [load_photo(before).pixels, load_photo(restored / folder / before.name).pixels]
            pictures += [degraded, after]
        rows.append((what, pictures))
    contact_sheet(picture, rows, ["degraded", "restored"] * 2, cell=CELL)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def _middle(photo: Tensor, side: int = 150) -> Tensor:
    """A square from the middle, enlarged twice."""
    top, left = ((length - side) // 2 for length in photo.shape[-2:])
    part = photo[:, top : top + side, left : left + side]
    return part.repeat_interleave(2, 1).repeat_interleave(2, 2)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
