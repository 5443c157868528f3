"""HTML for notebooks, without other files: a restored photo with a divider to drag, and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.photos.writing import samples_of

LIMIT = 300_000  # bytes of HTML for one photo: a notebook file stores every picture that it has shown
SIDES = (720, 560, 420, 300, 200)  # px, longest sides of the photos; the largest that keeps the limit is used
MAP = 200  # px, longest side of a map
ROWS = 100  # most rows of a table

_PHOTOS = """\
<div style="position:relative;width:{width}px;max-width:100%;--at:50%">
<img alt="restored" style="display:block;width:100%" src="{after}">
<img alt="as it was" style="position:absolute;left:0;top:0;width:100%;clip-path:inset(0 calc(100% - var(--at)) 0 0)"
 src="{before}">
<input type="range" aria-label="divider between the photo and the restored photo" style="width:100%;margin:2px 0"
 oninput="this.parentNode.style.setProperty('--at',this.value+'%')">
</div>
"""


def restored_html(before: Tensor, after: Tensor, facts: Mapping[str, Any], maps: Mapping[str, NDArray[Any]]) -> str:
    """A photo before (left of the divider) and after the restoration, with facts and learned maps.

    Args:
        before, after: (3, H, W) in [0, 1]; ``before`` may be smaller.
        facts: text by name; empty ones are left out.
        maps: arrays by name. Those of shape (H, W) or (H, W, 3) are shown as pictures, numbers and (C,) as facts.

    Returns:
        HTML of at most ``LIMIT`` bytes, without separate scripts and without external addresses.
    """
    told = {**facts, **{name: _numbers(values) for name, values in maps.items() if values.ndim < 2}}
    lines = [f"<b>{escape(name)}</b> {escape(str(value))}" for name, value in told.items() if str(value)]
    pictures = [(name, _map(values)) for name, values in maps.items() if values.ndim >= 2]
    html = ""
    for side in SIDES:
        size = _fitted((after.shape[-2], after.shape[-1]), side)
        shown = [_jpeg(_picture(as_large_as(image, size))) for image in (before, after)]
        html = _PHOTOS.format(width=size[1], before=shown[0], after=shown[1])
        html += f"<div>{' · '.join(lines)}</div>"
        room = LIMIT - len(html)
        for name, picture in pictures:
            figure = f'<figure style="display:inline-block;margin:4px"><img alt="{escape(name)}" src="{picture}">'
            figure += f"<figcaption>{escape(name)}</figcaption></figure>"
            if (room := room - len(figure)) < 0:
                break
            html += figure
        if room >= 0:
            break
    return html


def table_html(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """An HTML table with the first ``ROWS`` rows, and the number of the others."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    everything = list(rows)
    lines = ["".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) for row in everything[:ROWS]]
    more = f"<p>and {len(everything) - ROWS} more</p>" if len(everything) > ROWS else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
    )


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _numbers(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:.3g}" for value in np.atleast_1d(values).ravel()[:8])


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(height, width) with at most ``side`` pixels on the longer one."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(samples_of(image, "uint8", False)))


def _map(values: NDArray[Any]) -> str:
    """A JPEG of one map in the colors of viridis over the map's range, or of three channels as colors."""
    import matplotlib

    array = np.asarray(values, dtype=np.float32)
    if array.ndim == 3 and array.shape[-1] == 3:
        colors = (array.clip(0, 1) * 255).round().astype(np.uint8)
    else:
        array = array[..., 0] if array.ndim == 3 else array
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        colors = matplotlib.colormaps["viridis"]((array - low) / max(high - low, 1e-6), bytes=True)[..., :3]
    picture = Image.fromarray(np.ascontiguousarray(colors))
    picture.thumbnail((MAP, MAP))
    return _jpeg(picture)


def _jpeg(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
