"""A page of photos as one HTML file: style, script and data are inside, the pictures are files beside it.

It opens from a disk and needs no network. ``template/`` has its style and script; this module fills the template.
"""

from __future__ import annotations

import html
import json
import math
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from zeroair_pl.resources import version

NAME = "report.html"
PICTURES = "report_files"  # folder of the pictures, named like the folder that browsers make for a saved page

# How the page names a photo's status. Any other status is shown as it is.
STATUSES = {"skipped": "restored before"}


@dataclass(frozen=True)
class Column:
    """One kind of value that photos have, and how the page shows it.

    Args:
        key: of the value in a photo's entry.
        label: its name in the list of all facts of one photo; empty if it is not listed there.
        sort: its name in the menu for sorting; empty if photos cannot be sorted by it.
        least: sort the smallest value first.
        digits: after the decimal point.
        scale, unit: a number is shown as ``scale · value``, followed by the unit.
        card: how the overview shows it, with ``{}`` for the value; empty if it does not.
        text: the value is text, which a search finds. The overview shows the first of these columns that a photo has.
    """

    key: str
    label: str = ""
    sort: str = ""
    least: bool = False
    digits: int = 0
    scale: float = 1.0
    unit: str = ""
    card: str = ""
    text: bool = False


def page(
    heading: str,
    summary: str,
    columns: Sequence[Column],
    photos: Sequence[Mapping[str, Any]],
    *,
    order: str = "list",
    layout: Literal["cards", "wide"] = "cards",
    systems: Mapping[str, Any] | None = None,
    trouble: Sequence[str] = (),
) -> bytes:
    """The bytes of the page's file.

    Args:
        heading, summary: above the photos; plain text, as all other text is.
        columns: the values of the photos that the page shows.
        photos: one entry each: ``name``; the values of the columns by their keys; and, if they are there, ``status``,
            ``kind``, ``amount`` (0 to 1), ``ratio`` (width by height), ``pictures`` and ``maps`` (lists of ``title``,
            ``src`` and ``text``), ``full`` (addresses of the photo and its result in full size),
            ``numbers`` (name, text and CSS color or ``""``) and ``links`` (text and address).
            Values that are ``None`` or ``""`` are left out. Two pictures are shown with a divider between them.
        order: name of the order of ``photos``, for the menu.
        layout: ``cards`` shows small pictures in a grid; ``wide`` shows all pictures of a photo side by side.
        systems: a table above the photos: ``head`` and ``rows`` of texts, and ``best``, which has for each column the
            first cells of the rows that are best in it.
        trouble: lines about files that could not be used.
    """
    data = {
        "summary": summary,
        "order": order,
        "layout": layout,
        "statuses": STATUSES,
        "columns": [_given(vars(column)) for column in columns],
        "photos": [_given(photo) for photo in photos],
        "systems": systems,
        "trouble": list(trouble),
    }
    title = html.escape(_printable(heading))
    parts = {
        "title": title,
        "heading": title,
        "about": html.escape(f"Made by zeroair-pl {version()}. Pictures are in {PICTURES}/ beside this page."),
        "css": _template("report.css"),
        "js": _template("report.js"),
        "data": _in_script(data),  # filled in last, since names of photos may look like the marks of other parts
    }
    text = _template("report.html")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text.encode()


def address(name: str) -> str:
    """The relative URL of a file beside the page, from its name. Characters such as ``#``, ``%`` and ``?`` are quoted.

    The bytes of a name need not be UTF-8.
    """
    return urllib.parse.quote(os.fsencode(name.replace(os.sep, "/")), safe="/")


def _given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without values that are empty, to keep the page small, or not finite, which JSON cannot hold."""
    return {key: value for key, value in entry.items() if value not in (None, "", [], {}) and _finite(value)}


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _in_script(data: Any) -> str:
    """JSON in ASCII for a script element. ``<`` is escaped, so that no text in it can end the element."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _printable(text: str) -> str:
    """Text that can be written as UTF-8; see ``table.written``."""
    return text.encode("utf-8", "backslashreplace").decode()


@lru_cache
def _template(name: str) -> str:
    return files("zeroair_pl.inspection").joinpath("template", name).read_text(encoding="utf-8").rstrip("\n")
