"""Draws tensors with Pillow: photos of a given height, colored maps, swatches of numbers, and captions."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP = 6  # pixels between two pictures and around the sheet
TEXT = 13  # pixels of the captions' font
LINE = 20  # pixels of one line of caption
SMALL = 128  # pictures lower than this are enlarged by whole factors, so that they can be seen and labeled
WIDE = 3  # no picture is wider than this many times the greatest height
INK, PAPER, SHADE, EDGE = (20, 20, 20), (255, 255, 255), (235, 235, 235), (160, 160, 160)


class Panel(NamedTuple):
    """A picture and the caption above it."""

    caption: str
    picture: Image.Image


def as_image(image: Tensor) -> Tensor:
    """One image (C, H, W) as float32, detached, on its device, from (C, H, W) or (1, C, H, W) of any float type.

    Raises:
        ValueError: it is empty, or not one image.
    """
    if image.ndim == 4 and len(image) == 1:
        image = image[0]
    if image.ndim != 3 or not image.numel():
        raise ValueError(f"expected one image, (C, H, W) or (1, C, H, W), got {tuple(image.shape)}")
    return image.detach().float()


def common_height(height: int, width: int, max_height: int) -> int:
    """The height at which an image of the given size is shown: at most ``max_height`` high and three times as wide."""
    shown = height if height >= SMALL else height * -(-SMALL // height)
    return max(1, min(shown, max_height, WIDE * max_height * height // width))


def resized(image: Tensor, height: int, max_width: int) -> Tensor:
    """(C, H, W) resized to ``height``, or to less if it would be wider than ``max_width``; the aspect is kept."""
    scale = min(height / image.shape[1], max_width / image.shape[2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[2] * scale)))
    if size == tuple(image.shape[1:]):
        return image
    if scale > 1:  # each pixel becomes a square, so that the picture shows no values that the image does not have
        return F.interpolate(image[None], size=size, mode="nearest-exact")[0]
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def photo(image: Tensor, height: int, max_width: int) -> Image.Image:
    """A photo, (1 or 3, H, W) in [0, 1], resized as in ``resized``."""
    small = resized(as_image(image), height, max_width).nan_to_num().clamp(0, 1)
    array = (small * 255).round().byte().expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(array))


def value_range(values: Tensor) -> tuple[float, float]:
    """The values at the two ends of a map's color scale: its smallest and largest value.

    For a map that is nearly constant the range is wider; otherwise its rounding errors would fill the scale.
    """
    known = values[torch.isfinite(values)]
    if not known.numel():
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    spread = max(0.05 * max(abs(low), abs(high)), 1e-6)
    return (low, high) if high - low >= spread else ((low + high - spread) / 2, (low + high + spread) / 2)


def colored(values: Tensor, low: float, high: float) -> Image.Image:
    """(H, W) values in viridis, from dark blue at ``low`` to yellow at ``high``.

    In this map of colors, equal steps of a value look equal, even when printed in gray.
    """
    import matplotlib

    scaled = ((values.nan_to_num(low, high, low) - low) / (high - low)).clamp(0, 1).cpu().numpy()
    return Image.fromarray(matplotlib.colormaps["viridis"](scaled, bytes=True)[..., :3].copy())


def map_panels(maps: Mapping[str, Tensor], height: int, max_width: int) -> list[Panel]:
    """One panel for each map of a degradation, and one for each of its numbers.

    Args:
        maps: (1, C, H, W) or (1, C, 1, 1) by name. Three channels are shown as a color. Otherwise each channel is shown
            as a map, with a color scale of its own range, which is in its caption.
        height, max_width: of the pictures, in pixels.
    """
    panels: list[Panel] = []
    for name, values in maps.items():
        image = as_image(values)
        if image.shape[1:] == (1, 1):
            panels.append(Panel(name, swatch(image.flatten(), height)))
        elif len(image) == 3:
            panels.append(Panel(name, photo(image, height, max_width)))
        else:
            for i, channel in enumerate(image):
                low, high = value_range(channel)
                label = name if len(image) == 1 else f"{name} {i + 1}"
                picture = colored(resized(channel[None], height, max_width)[0], low, high)
                panels.append(Panel(f"{label}  {short(low)} … {short(high)}", picture))
    return panels


def swatch(numbers: Tensor, height: int) -> Image.Image:
    """Numbers (C,) as text. Three numbers are taken as a color in [0, 1], which becomes the background."""
    values = numbers.tolist()
    text = "\n".join(short(value) for value in values)
    paper = tuple(round(255 * min(max(v, 0.0), 1.0)) for v in values) if len(values) == 3 else SHADE
    bright = 0.299 * paper[0] + 0.587 * paper[1] + 0.114 * paper[2] > 128
    picture = Image.new("RGB", (max(72, height // 3), height), paper)
    place = (picture.width / 2, picture.height / 2)
    ink = INK if bright else PAPER
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=EDGE)  # shows a white swatch on white paper
    pen.text(place, text, font=font(TEXT), fill=ink, anchor="mm", align="center")
    return picture


def short(value: float) -> str:
    """A number as text with about three significant digits."""
    return f"{value:.2f}" if 0.095 <= abs(value) < 100 or value == 0 else f"{value:.3g}"


def strip(
    photos: Mapping[str, Tensor], maps: Mapping[str, Tensor], max_height: int, two_rows: bool = False
) -> Image.Image:
    """Photos, then maps, side by side at one height, each with its caption above it.

    Args:
        photos: (3, H, W) or (1, 3, H, W) in [0, 1] by caption; the first one decides the height.
        maps: as ``Degradation.diagnostics`` gives them.
        max_height: of the pictures, in pixels.
        two_rows: put the maps below the photos, for a narrow place.
    """
    first = as_image(next(iter(photos.values())))
    height = common_height(first.shape[1], first.shape[2], max_height)
    panels = [Panel(caption, photo(image, height, WIDE * max_height)) for caption, image in photos.items()]
    below = map_panels(maps, height, WIDE * max_height)
    if not below or not two_rows:
        return side_by_side([*panels, *below])
    rows = [side_by_side(panels), side_by_side(below)]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), PAPER)
    sheet.paste(rows[0], (0, 0))
    sheet.paste(rows[1], (0, rows[0].height))
    return sheet


def side_by_side(panels: list[Panel]) -> Image.Image:
    """The panels in a row; a panel is as wide as its picture or its caption, whichever is wider."""
    widths = [max(panel.picture.width, text_width(panel.caption)) for panel in panels]
    height = max(panel.picture.height for panel in panels)
    sheet = Image.new("RGB", (sum(widths) + GAP * (len(panels) + 1), LINE + height + GAP), PAPER)
    x = GAP
    for panel, width in zip(panels, widths, strict=True):
        write(sheet, (x, 0), panel.caption)
        sheet.paste(panel.picture, (x, LINE))
        x += width + GAP
    return sheet


def data_uri(image: Image.Image, form: str, **options: int) -> str:
    """An image as a data URI.

    Args:
        image: the image.
        form: its format, as Pillow names it: ``JPEG`` or ``PNG``.
        options: for Pillow's ``save``.
    """
    data = io.BytesIO()
    image.save(data, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def write(sheet: Image.Image, place: tuple[int, int], text: str) -> None:
    """Draws one line of text; ``place`` is the upper left corner of the line."""
    ImageDraw.Draw(sheet).text((place[0], place[1] + LINE // 2), text, font=font(TEXT), fill=INK, anchor="lm")


def text_width(text: str) -> int:
    """Width of a line of text in pixels."""
    return int(font(TEXT).getlength(text)) + 1


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Matplotlib's DejaVu Sans, which has Greek, Cyrillic and accents; Pillow's own font has only ASCII."""
    import matplotlib

    try:
        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
    except OSError:  # a distribution's matplotlib may come without its fonts
        return ImageFont.load_default(size)
