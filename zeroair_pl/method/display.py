"""HTML for notebooks, without other files: a restored photo with a divider to drag, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.tensors.arrays import as_maps
from zeroair_pl.tensors.drawing import data_uri, map_panels, photo

LIMIT = 300_000  # bytes of HTML for one photo: a notebook file stores every picture that it has shown
SIDES = (720, 560, 420, 300, 200)  # px, longest sides of the photos; the largest that keeps the limit is used
MAP = 200  # px, longest side of a map
ROWS = 100  # most rows of a table
QUALITY = 85  # of the JPEGs

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
    shown = {**facts, **{name: _numbers(values) for name, values in maps.items() if values.ndim < 2}}
    lines = [f"<b>{escape(name)}</b> {escape(str(value))}" for name, value in shown.items() if str(value)]
    drawn = map_panels(as_maps({name: values for name, values in maps.items() if values.ndim >= 2}), MAP, MAP)
    pictures = [(panel.caption, data_uri(panel.picture, "JPEG", quality=QUALITY)) for panel in drawn]
    html = ""
    for side in SIDES:
        scale = min(1.0, side / max(after.shape[-2:]))
        size = (max(1, round(scale * after.shape[-2])), max(1, round(scale * after.shape[-1])))
        pair = [data_uri(photo(as_large_as(each, size), *size), "JPEG", quality=QUALITY) for each in (before, after)]
        html = _PHOTOS.format(width=size[1], before=pair[0], after=pair[1])
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
