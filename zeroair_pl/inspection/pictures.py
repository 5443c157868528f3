"""Picture files for people: before/after strips, learned maps, and small pictures for a page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageChops
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.tensors import drawing
from zeroair_pl.tensors.drawing import GAP, LINE, PAPER

STRIP_HEIGHT = 640  # px, of the pictures in a before/after strip
MAP_SIDE = 2048  # px, longest side of a map's file
LONGEST, SMALL_MAP = 960, 320  # px, longest sides of a photo and of a map on a page
QUALITY, EFFORT = 82, 2  # of WebP: twice the effort takes twice the time and saves 3 %
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def encode_strip(path: str | Path, before: Tensor, after: Tensor, maps: Mapping[str, Tensor] | None = None) -> bytes:
    """The bytes of a picture with degraded | restored | maps, with captions, at one height of at most 640 pixels.

    Args:
        path: of the picture, ending in .png, .jpg or .webp, which states the format.
        before, after: (3, H, W) or (1, 3, H, W) in [0, 1].
        maps: the degradation's maps and numbers, (1, C, H, W) and (1, C, 1, 1), by name.

    Raises:
        ConfigError: the path has another ending.
    """
    return _encoded(path, drawing.strip({"degraded": before, "restored": after}, maps or {}, STRIP_HEIGHT))


def redrawn_strip(path: str | Path, before: Tensor, after: Tensor, earlier: bytes) -> bytes:
    """The bytes of a strip with another restored photo, and with the panels of maps of an earlier strip.

    Args:
        path: of the picture, whose ending states the format.
        before, after: (3, H, W) or (1, 3, H, W) in [0, 1].
        earlier: the bytes of a strip of the same photo; if empty, the new strip has no maps.
    """
    photos = drawing.strip({"degraded": before, "restored": after}, {}, STRIP_HEIGHT)
    if not earlier:
        return _encoded(path, photos)
    with Image.open(io.BytesIO(earlier)) as picture:
        strip = picture.convert("RGB")
    strip.paste(photos, (0, 0))  # a strip begins with the two photos
    return _encoded(path, strip)


def encode_map(path: str | Path, values: Tensor) -> bytes:
    """The bytes of a picture of one map of a degradation.

    Three channels, (1, 3, H, W) in [0, 1], are shown as they are. Otherwise each channel is shown in viridis from its
    smallest to its largest value, with a scale below it. Numbers, (1, C, 1, 1), become a swatch. A map that is longer
    than 2048 pixels is reduced. The ending of ``path`` states the format.
    """
    image = drawing.as_image(values)
    channels, height, width = image.shape
    if (height, width) == (1, 1):
        return _encoded(path, drawing.swatch(image.flatten(), drawing.SMALL))
    scale = min(1.0, MAP_SIDE / max(height, width))
    height, width = max(1, round(scale * height)), max(1, round(scale * width))
    if channels == 3:
        return _encoded(path, drawing.photo(image, height, width))
    parts = []
    for channel in image:
        low, high = drawing.value_range(channel)
        small = drawing.resized(channel[None], height, width)[0]
        parts.append(_with_scale(drawing.colored(small, low, high), low, high))
    sheet = Image.new("RGB", (sum(p.width for p in parts) + GAP * (len(parts) - 1), parts[0].height), PAPER)
    for i, part in enumerate(parts):
        sheet.paste(part, (i * (part.width + GAP), 0))
    return _encoded(path, sheet)


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
    """Draws these small pictures.

    Args:
        before, after: (3, H, W) or (1, 3, H, W) in [0, 1]; their sizes may differ.
        maps: (1, C, H, W) or (1, C, 1, 1), by name.
    """
    one, other = thumbnail(before), thumbnail(after)
    panels = drawing.map_panels(
        {name: values for name, values in maps.items() if _is_map(values)}, SMALL_MAP, SMALL_MAP
    )
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


def _with_scale(picture: Image.Image, low: float, high: float) -> Image.Image:
    left, right = drawing.short(low), drawing.short(high)
    ends = drawing.text_width(left) + GAP, drawing.text_width(right) + GAP
    width = max(picture.width, sum(ends) + 32)
    sheet = Image.new("RGB", (width, picture.height + LINE), PAPER)
    sheet.paste(picture, (0, 0))
    ramp = torch.linspace(0, 1, width - sum(ends)).expand(LINE - 10, -1)
    sheet.paste(drawing.colored(ramp, 0.0, 1.0), (ends[0], picture.height + 5))
    drawing.write(sheet, (0, picture.height), left)
    drawing.write(sheet, (width - ends[1] + GAP, picture.height), right)
    return sheet


def _encoded(path: str | Path, picture: Image.Image) -> bytes:
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path}: a report is a picture; expected a name ending in {', '.join(FORMATS)}")
    data = io.BytesIO()
    picture.save(data, kind, **({} if kind == "PNG" else {"quality": 92}))
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
