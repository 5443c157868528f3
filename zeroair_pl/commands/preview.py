"""``restore --preview``: the result of a part or a smaller copy of each photo, in seconds, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.method.large import working_size
from zeroair_pl.photos.finding import Source
from zeroair_pl.photos.photo import Photo, of_size

Preview = Literal["small", "crop"]

PIXELS = 300_000  # of a smaller copy, as 640×480: a few seconds of a CPU
SIDE = 512  # px, of the square in the middle of a photo
_GRID = 16  # px: a crop begins where a block of a JPEG does


def preview_of(asked: bool | Literal["crop"]) -> Preview | None:
    """What ``--preview`` and ``--preview crop`` mean."""
    return None if asked is False else "small" if asked is True else "crop"


def folder_of(out: Path, preview: Preview) -> Path:
    """``clear-preview`` or ``clear-crop`` beside ``clear``."""
    name = "preview" if preview == "small" else "crop"
    return out.parent / f"{out.resolve().name}-{name}" if out.name else out.resolve().with_name(f"out-{name}")


def named(sources: Sequence[Source], preview: Preview) -> list[Source]:
    """The photos under the names of their previews, ``harbor.preview`` and ``harbor.crop``, which are not scored."""
    suffix = "preview" if preview == "small" else "crop"
    return [replace(source, name=f"{source.name}.{suffix}", reference=None) for source in sources]


def preparation(preview: Preview, kernel: object) -> Callable[[Photo], Photo]:
    """What makes the preview's photo of a photo.

    Raises:
        ConfigError: a smaller copy has another blur than the kernel says.
    """
    if preview == "small" and kernel:
        raise ConfigError("--preview: a smaller copy has another blur than --kernel says; use --preview crop.")
    return smaller if preview == "small" else cropped


def smaller(photo: Photo) -> Photo:
    """A copy of at most ``PIXELS`` pixels; of what comes with it, the maps."""
    if photo.size[0] * photo.size[1] <= PIXELS:
        return photo
    pixels = working_size(photo.pixels[None], PIXELS)[0]
    size = (pixels.shape[1], pixels.shape[2])
    side = _each_map(photo, lambda value: working_size(value, PIXELS))
    return replace(of_size(photo, size), pixels=pixels, side=side)


def cropped(photo: Photo) -> Photo:
    """The square of ``SIDE`` in the middle, or as much of it as there is."""
    height, width = photo.size
    top, left = (max(0, (length - SIDE) // 2) // _GRID * _GRID for length in (height, width))
    rows, columns = slice(top, top + SIDE), slice(left, left + SIDE)
    alpha, others = (None if a is None else a[rows, columns].copy() for a in (photo.alpha, photo.others))
    pixels, cut = photo.pixels[:, rows, columns].clone(), partial(_cut, rows=rows, columns=columns)
    side = {**photo.side, **_each_map(photo, cut)}
    return replace(photo, pixels=pixels, alpha=alpha, others=others, beyond=None, side=side)


def _cut(value: Tensor, rows: slice, columns: slice) -> Tensor:
    return value[..., rows, columns]


def _each_map(photo: Photo, change: Callable[[Tensor], Tensor]) -> Mapping[str, Any]:
    """The side information that is of the photo's size, changed as the photo is."""
    maps = {key: value for key, value in photo.side.items() if isinstance(value, Tensor) and value.ndim == 4}
    return {key: change(value) for key, value in maps.items() if tuple(value.shape[-2:]) == photo.size}
