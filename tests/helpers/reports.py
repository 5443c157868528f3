"""Parses a page of photos into its elements, as a browser does."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        tags: all start tags with their attributes.
        text: the text of each element that has an id or a name that counts here, by that.
        data: what its script is given.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._at = ""
        self.feed(Path(path).read_bytes().decode())
        self.close()
        self.data: dict[str, Any] = json.loads(self.text["data"])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self._at = found.get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._at = ""

    def handle_data(self, data: str) -> None:
        self.text[self._at] = self.text.get(self._at, "") + data

    @property
    def photos(self) -> dict[str, dict[str, Any]]:
        """The entries of the photos, by name."""
        return {each["name"]: each for each in self.data["photos"]}
