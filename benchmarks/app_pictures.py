"""Takes the screenshots of the app for docs/images/: ``python benchmarks/app_pictures.py [--out FOLDER]``.

It needs the extra ``test`` and a Chromium. The photos are those of examples/photos.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from zeroair_pl.app.serve import serving

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "examples" / "photos"
PATIENCE = 900_000  # milliseconds


def take(page: Any, folder: Path, name: str) -> None:
    """Takes one screenshot of the page."""
    page.mouse.move(5, 5)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    picture.convert("RGB").save(folder / f"{name}.webp", quality=82, method=6)


def add(page: Any, *files: Path) -> None:
    """Adds files to the page, and waits until all are in the list."""
    count = page.locator(".zr-row").count() + len(files)
    page.set_input_files("#zr-drop input[type=file]", list(files))
    page.wait_for_function(f"document.querySelectorAll('.zr-row').length == {count}")


def choose(page: Any, title: str) -> None:
    """Chooses a kind of damage."""
    page.click("#zr-kind input")
    page.get_by_role("option", name=title, exact=True).click()


def pictures(page: Any, folder: Path, broken: Path) -> None:
    """Takes all screenshots, in the order of a typical use."""
    page.wait_for_selector("#zr-restore")
    take(page, folder, "app_start")
    add(page, PHOTOS / "haze_workshop.png")
    choose(page, "Haze, fog or smoke")
    page.click("#zr-restore")
    page.wait_for_selector(".zr-divider")
    take(page, folder, "app_restored")
    page.get_by_role("tab", name="What was learned").click()
    page.wait_for_selector(".zr-maps img")
    take(page, folder, "app_learned")
    choose(page, "Something is missing")
    page.get_by_role("tab", name="Brush").click()
    box = page.locator("#zr-brush canvas").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.22 * box["height"], steps=8)
    page.mouse.up()
    take(page, folder, "app_brush")
    page.get_by_role("tab", name="Before and after").click()
    choose(page, "Find out by itself")
    add(page, PHOTOS / "dark_tulips.png", PHOTOS / "noise_blossom.png", broken)
    page.click("#zr-restore")
    page.wait_for_function("document.querySelectorAll('.zr-restored').length == 2")
    page.wait_for_selector(".zr-progress >> text=step")
    page.click(".zr-row >> text=dark_tulips.png")
    page.wait_for_selector(".zr-found >> text=Low light")
    take(page, folder, "app_list")
    page.wait_for_selector(".zr-failed")
    page.click(".zr-row >> text=broken")
    page.wait_for_selector(".zr-error")
    take(page, folder, "app_error")


def main() -> None:
    """Serves the page, opens it in Chromium, and takes the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a folder for all pictures; by default the docs' own are replaced")
    out = parser.parse_args().out
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as scratch, serving() as served, sync_playwright() as playwright:
        folder = out or Path(scratch)
        folder.mkdir(exist_ok=True)
        broken = Path(scratch) / "broken_scan.jpg"
        broken.write_bytes((PHOTOS / "dark_sunset.jpg").read_bytes()[:5000])
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(PATIENCE)
        page.goto(served.url)
        pictures(page, folder, broken)
        chromium.close()
        for picture in folder.glob("*.webp") if out is None else ():
            shutil.copy(picture, ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
