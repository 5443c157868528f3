"""Makes the pictures of the report in docs/images/, of the project's own photos, with Chromium and Playwright.

Run it with: python docs/report_pictures.py [FOLDER]     (FOLDER: an output folder of examples/photos, if there is one)
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import zeroair_pl

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"


def restored() -> Path:
    """An output folder of the example photos, and of a torn copy of one, for there to be a failure."""
    work = Path(tempfile.mkdtemp())
    photos = Path(shutil.copytree(ROOT / "examples" / "photos", work / "photos"))
    (photos / "torn.jpg").write_bytes((photos / "haze_mountain.jpg").read_bytes()[:20_000])
    with contextlib.chdir(work):  # so that the page shows short names
        return zeroair_pl.restore("photos", "auto", out="example_photos").folder.absolute()


def main(folder: Path | None = None) -> None:
    page = ((folder or restored()) / "report.html").resolve().as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        list_ = browser.new_page(viewport={"width": 1280, "height": 860})
        list_.goto(page)
        list_.wait_for_timeout(1500)
        list_.screenshot(path=IMAGES / "report.jpg", type="jpeg", quality=80)

        one = browser.new_page(viewport={"width": 1100, "height": 860}, color_scheme="dark")
        one.goto(page)
        one.get_by_role("button", name="haze_workshop", exact=True).click()
        one.locator("dialog input").evaluate("each => { each.value = 42; each.oninput(); }")
        one.locator("dialog").evaluate("each => each.scrollTop = 150")
        one.wait_for_timeout(1500)
        one.screenshot(path=IMAGES / "report_photo.jpg", type="jpeg", quality=80)
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
