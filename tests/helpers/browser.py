"""A real browser for tests of pages: Chromium, driven by Playwright; without them, those tests are skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def why_none() -> str:
    """Why there is no browser; empty if there is one."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed (it comes with the extra 'test')"
    return "" if _program() else f"no browser: none of {', '.join(NAMES)} is installed"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running browser, playwright's ``Browser``."""
    if why := why_none():
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
        yield started
        started.close()


def until(page: Any, expression: str, seconds: float = 30) -> None:
    """Waits until the expression is true. Playwright's own way is forbidden by a page that runs no text as a script."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(20)


def _program() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def open_page(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    """A page, and a list that all its errors will be in, those of what it could not load included."""
    page, errors = browser.new_page(**options), []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
    page.goto(address)
    return page, errors
