"""``restore --preview``: restores a small copy or the middle of each photo, in seconds, into a separate folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.method.large import working_size
from zeroair_pl.photos.photo import Photo, of_size
from zeroair_pl.photos.source import Source

Preview = Literal["small", "crop"]

PIXELS = 300_000  # of a smaller copy, such as 640×480: a few seconds on a CPU
SIDE = 512  # px, of the square in the middle of a photo
_GRID = 16  # px: a crop begins at the border of a JPEG block, so that the blocks in it are whole


def preview_of(asked: bool | Literal["crop"]) -> Preview | None:
    """The preview that the value of ``--preview`` means: ``True`` is ``small``, ``"crop"`` is ``crop``."""
    return None if asked is False else "small" if asked is True else "crop"


def folder_of(out: Path, preview: Preview) -> Path:
    """The folder of the previews beside the output folder: ``clear-preview`` or ``clear-crop`` beside ``clear``."""
    name = "preview" if preview == "small" else "crop"
    return out.parent / f"{out.resolve().name}-{name}" if out.name else out.resolve().with_name(f"out-{name}")


def named(sources: Sequence[Source], preview: Preview) -> list[Source]:
    """The photos with the names of their previews, ``harbor.preview`` or ``harbor.crop``, and without references.

    So previews are not scored.
    """
    suffix = "preview" if preview == "small" else "crop"
    return [replace(source, name=f"{source.name}.{suffix}", reference=None) for source in sources]


def preparation(preview: Preview, kernel: object) -> Callable[[Photo], Photo]:
    """What makes the photo of a preview; raises ConfigError for a smaller copy with a ``kernel`` of full size."""
    if preview == "small" and kernel:
        raise ConfigError("--preview: a smaller copy has another blur than --kernel says; use --preview crop.")
    return smaller if preview == "small" else cropped


def smaller(photo: Photo) -> Photo:
    """A copy of at most ``PIXELS`` pixels. Maps in its side information are reduced too; the rest of it is dropped."""
    if photo.size[0] * photo.size[1] <= PIXELS:
        return photo
    pixels = working_size(photo.pixels[None], PIXELS)[0]
    size = (pixels.shape[1], pixels.shape[2])
    side = _each_map(photo, lambda value: working_size(value, PIXELS))
    return replace(of_size(photo, size), pixels=pixels, side=side)


def cropped(photo: Photo) -> Photo:
    """The middle of the photo: a square of ``SIDE`` pixels, less where the photo is smaller."""
    height, width = photo.size
    top, left = (max(0, (length - SIDE) // 2) // _GRID * _GRID for length in (height, width))
    rows, columns = slice(top, top + SIDE), slice(left, left + SIDE)
    alpha, others = (None if a is None else a[rows, columns].copy() for a in (photo.alpha, photo.others))
    pixels = photo.pixels[:, rows, columns].clone()
    side = {**photo.side, **_each_map(photo, lambda value: value[..., rows, columns])}
    return replace(photo, pixels=pixels, alpha=alpha, others=others, beyond=None, side=side)


def _each_map(photo: Photo, change: Callable[[Tensor], Tensor]) -> Mapping[str, Any]:
    """The maps in the photo's side information, (1, C, H, W) of the photo's size, after ``change``."""
    maps = {key: value for key, value in photo.side.items() if isinstance(value, Tensor) and value.ndim == 4}
    return {key: change(value) for key, value in maps.items() if tuple(value.shape[-2:]) == photo.size}
