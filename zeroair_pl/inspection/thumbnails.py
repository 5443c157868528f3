"""Small pictures of photos and of their learned maps, for the page that shows many photos."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops
from torch import Tensor

from zeroair_pl.tensors import drawing

LONGEST = 960  # pixels of the longer side of a photo
MAP = 320  # of a map, which is smooth or small
QUALITY, EFFORT = 82, 2  # of WebP: twice the effort takes twice the time and saves 3 %


@dataclass(frozen=True)
class Small:
    """Small pictures of a photo before and after, and of its maps.

    Attributes:
        before, after: the bytes of WebP files.
        maps: the bytes of WebP files, by caption.
        numbers: name, text and CSS color of each number of the degradation. The color is empty unless the number has
            three channels.
        ratio: width by height of the restored photo.
        change: mean absolute difference of the two pictures, in units of [0, 1].
    """

    before: bytes
    after: bytes
    maps: dict[str, bytes]
    numbers: list[tuple[str, str, str]]
    ratio: float
    change: float


def small(before: Tensor, after: Tensor, maps: Mapping[str, Tensor]) -> Small:
    """Draws the small drawing.

    Args:
        before, after: (3, H, W) or (1, 3, H, W) in [0, 1]; their sizes may differ.
        maps: (1, C, H, W) or (1, C, 1, 1), by name.
    """
    one, other = thumbnail(before), thumbnail(after)
    panels = drawing.map_panels({name: values for name, values in maps.items() if _is_map(values)}, MAP, MAP)
    numbers = [_number(name, values) for name, values in maps.items() if not _is_map(values)]
    found = {panel.caption: encoded(panel.picture) for panel in panels}
    ratio = round(other.width / other.height, 4)
    return Small(encoded(one), encoded(other), found, numbers, ratio, round(_change(one, other), 5))


def thumbnail(image: Tensor) -> Image.Image:
    """The photo, (1 or 3, H, W) in [0, 1], not enlarged, and at most 960 pixels long."""
    return drawing.photo(image, min(LONGEST, image.shape[-2]), min(LONGEST, image.shape[-1]))


def encoded(picture: Image.Image) -> bytes:
    """The bytes of a picture as a WebP file."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=QUALITY, method=EFFORT)
    return data.getvalue()


def _is_map(values: Tensor) -> bool:
    return tuple(values.shape[-2:]) != (1, 1)


def _number(name: str, values: Tensor) -> tuple[str, str, str]:
    known = values.detach().float().flatten().tolist()
    color = "rgb({} {} {})".format(*(round(255 * min(max(v, 0.0), 1.0)) for v in known)) if len(known) == 3 else ""
    return name, ", ".join(map(drawing.short, known)), color


def _change(one: Image.Image, other: Image.Image) -> float:
    one = one.resize(other.size) if one.size != other.size else one
    counts: Any = np.array(ImageChops.difference(one, other).convert("RGB").histogram()).reshape(3, 256)
    return float((counts * np.arange(256)).sum() / max(1, counts.sum()) / 255)
