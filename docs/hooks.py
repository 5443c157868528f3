"""What the site needs beside mkdocs: a navigation of the pages that exist, and no links to files outside docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
LINK = re.compile(r"\[([^\]]+)\]\(\.\./(?:\.\./)*([^)#]+)(?:#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Takes pages that do not exist out of the navigation, and puts those that it does not name at its end."""
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    config.nav = _existing(config.nav, pages)
    config.nav += [{"More": sorted(pages)}] if pages else []
    return config


def _existing(entries: list[Any], pages: set[str]) -> list[Any]:
    kept: list[Any] = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            if below := _existing(target, pages):
                kept.append({title: below})
        elif target in pages:
            pages.discard(target)
            kept.append(entry)
    return kept


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces a link to a file outside docs/ by the file's path: the site does not have the file."""
    return LINK.sub(lambda link: f"`{link[2]}`" if link[1].startswith("`") else link[1], markdown)
