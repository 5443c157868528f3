"""Draws docs/images/before_after.jpg, the picture in the README, from the photos that ``make demo`` has restored.

Run python benchmarks/picture.py [FOLDER]. FOLDER, by default restored/, has dehaze/, low_light/ and denoise/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from torch import Tensor

from zeroair_pl.photos.reading import load_photo
from zeroair_pl.tensors.drawing import PAPER, Panel, photo, side_by_side

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "before_after.jpg"
WIDTH = 280  # of a photo in the picture, in pixels
# A real photo and a composed one of each kind, and one photo for noise.
PHOTOS = {
    "haze": ("dehaze", ["haze_mountain", "haze_workshop"]),
    "low light": ("low_light", ["dark_shore", "dark_tulips"]),
    "noise": ("denoise", ["noise_blossom"]),
}


def main(restored: Path = Path("restored"), picture: Path = PICTURE) -> None:
    rows: list[Image.Image] = []
    for what, (folder, names) in PHOTOS.items():
        pairs: list[tuple[Tensor, Tensor]] = []
        for name in names:
            (before,) = (ROOT / "examples" / "photos").glob(f"{name}.*")
            pairs.append((load_photo(before).pixels, load_photo(restored / folder / before.name).pixels))
        if len(names) == 1:  # shrinking a whole photo hides noise
            pairs.append((_middle(pairs[0][0]), _middle(pairs[0][1])))
        shown = [(title, image) for pair in pairs for title, image in zip((what, "restored"), pair, strict=True)]
        rows.append(side_by_side([Panel(title, photo(image, image.shape[-2], WIDTH)) for title, image in shown]))
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), PAPER)
    for i, row in enumerate(rows):
        sheet.paste(row, (0, sum(each.height for each in rows[:i])))
    sheet.save(picture, quality=92)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def _middle(photo: Tensor, side: int = 150) -> Tensor:
    """A square from the middle, enlarged twice."""
    top, left = ((length - side) // 2 for length in photo.shape[-2:])
    part = photo[:, top : top + side, left : left + side]
    return part.repeat_interleave(2, 1).repeat_interleave(2, 2)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
