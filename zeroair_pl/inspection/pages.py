"""A page of photos as one HTML file: style, script and data are inside, pictures lie beside it.

It opens from a disk and asks no network for anything. See ``template/`` for what it looks like and does; this module
fills it.
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
PICTURES = "report_files"  # folder of the pictures; browsers call what belongs to a saved page so

# What a photo's status is called on the page. Any other status is shown as it is.
STATUSES = {"skipped": "restored before"}


@dataclass(frozen=True)
class Column:
    """Something that is known of photos.

    Args:
        key: of the value in a photo's entry.
        label: what it is called where all facts of one photo are listed; empty if it is not listed there.
        sort: what sorting by it is called; empty if nobody can.
        least: sort the smallest value first.
        digits: after the decimal point.
        scale, unit: a number is shown as ``scale · value``, followed by the unit.
        card: how the list shows it, ``{}`` in the place of the value; empty if it does not.
        text: it is words, which a search finds. The list shows the first of these columns that a photo has.
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
    """The file's bytes.

    Args:
        heading, summary: above the photos; plain text, as all other text is.
        columns: what is known of them.
        photos: one entry each: ``name``; the values of the columns by their keys; and, if they are there, ``status``,
            ``kind``, ``amount`` (0 to 1), ``ratio`` (width by height), ``pictures`` and ``maps`` (lists of ``title``,
            ``src`` and ``text``), ``numbers`` (name, text and CSS color or ``""``) and ``links`` (text and address).
            ``None`` and ``""`` are left out. Two pictures are shown with a divider between them.
        order: what the order of ``photos`` is called.
        layout: ``wide`` shows all pictures of a photo side by side.
        systems: a table above the photos: ``head``, ``rows`` of texts, and ``best``, by column the first cells of rows.
        trouble: lines about what could not be done.
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
        "data": _in_script(data),  # last: names of photos may look like the marks of other parts
    }
    text = _template("report.html")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text.encode()


def address(name: str) -> str:
    """The relative URL of a file beside the page, from its name, in which ``#``, ``%`` and ``?`` are letters as others.

    A name's bytes need not be UTF-8.
    """
    return urllib.parse.quote(os.fsencode(name.replace(os.sep, "/")), safe="/")


def _given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What says something: a page of thousands of photos should be small. JSON has no infinite numbers."""
    return {key: value for key, value in entry.items() if value not in (None, "", [], {}) and _finite(value)}


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _in_script(data: Any) -> str:
    """JSON that nothing in it can end: ASCII, without ``<``, in the place of which JSON has an escape."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _printable(text: str) -> str:
    """Text that can be written as UTF-8; see ``table.written``."""
    return text.encode("utf-8", "backslashreplace").decode()


@lru_cache
def _template(name: str) -> str:
    return files("zeroair_pl.inspection").joinpath("template", name).read_text(encoding="utf-8").rstrip("\n")
