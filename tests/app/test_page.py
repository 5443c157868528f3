"""The page of ``zeroair app`` in a real browser."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from helpers.browser import browser, why_none
from helpers.command import TOY, run, save_toy
from helpers.toys import ToyPrior
from zeroair_pl.app.serve import Served, serving
from zeroair_pl.priors.vp import Prediction

__all__ = ["browser"]

pytest.importorskip("gradio", reason="Gradio is not installed (it comes with the extra 'app')")
pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none())

PATIENCE = 90_000  # milliseconds: the machine may have much else to do


class Gated(ToyPrior):
    """Waits before each of its passes while the gate is closed."""

    gate = threading.Event()
    gate.set()

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        assert self.gate.wait(120)
        return super().predict(x_t, t)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(settings={"prior": Gated(), "sampling": {"steps": 2}}, megapixels=0.01) as found:
        yield found
    assert not found.folder.exists()


@pytest.fixture
def page(served: Served, browser: Any) -> Iterator[Any]:
    """A new visit. A request to another machine, or an error in the browser, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened, wrong = context.new_page(), []
    opened.set_default_timeout(PATIENCE)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(served.url)
    opened.wait_for_selector("#zr-restore")
    yield opened
    context.close()
    assert wrong == []
    elsewhere = [url for url in asked if not url.startswith((served.url, "data:", "blob:"))]
    assert elsewhere == []


def add(page: Any, *files: Path) -> None:
    count = page.locator(".zr-row").count()
    page.set_input_files("#zr-drop input[type=file]", list(files))
    page.wait_for_function(f"document.querySelectorAll('.zr-row').length == {count + len(files)}")


def choose(page: Any, title: str) -> None:
    page.click("#zr-kind input")
    page.get_by_role("option", name=title, exact=True).click()


def download(page: Any, button: str, into: Path) -> Path:
    with page.expect_download() as waiting:
        page.click(button)
    path = into / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_a_photo_is_restored_looked_at_and_downloaded(page: Any, tmp_path: Path) -> None:
    photo = save_toy(tmp_path / "old harbor (1).png", height=64, width=64)
    add(page, photo)
    choose(page, "Haze, fog or smoke")
    page.click("#zr-restore")
    page.wait_for_selector(".zr-divider")
    assert "Haze" in page.inner_text(".zr-found")

    figure = page.locator("#zr-view .zr-compare")
    box = figure.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    at = figure.evaluate("figure => parseFloat(figure.style.getPropertyValue('--at'))")
    assert at == pytest.approx(25, abs=3)

    full = download(page, "#zr-download", tmp_path / "full")
    before = page.get_attribute("#zr-view .zr-after", "src")
    page.fill("#zr-strength input[type=number]", "0.5")
    page.press("#zr-strength input[type=number]", "Tab")
    page.wait_for_function("before => document.querySelector('#zr-view .zr-after').src != before", arg=before)
    assert figure.evaluate("figure => parseFloat(figure.style.getPropertyValue('--at'))") == at  # stays where it was
    half = download(page, "#zr-download", tmp_path / "half")

    page.click(".zr-zoom >> text=100 %")
    page.wait_for_selector(".zr-full")
    assert page.locator(".zr-full .zr-after").bounding_box()["width"] == 64, "one pixel for one of the screen"
    page.click(".zr-zoom >> text=Whole photo")
    page.wait_for_selector(".zr-compare:not(.zr-full)")
    page.press(".zr-divider", "ArrowRight")
    assert figure.evaluate("figure => parseFloat(figure.style.getPropertyValue('--at'))") == round(at) + 1

    before = page.get_attribute("#zr-view .zr-after", "src")
    page.click("#zr-kinds")
    page.get_by_label("number input for Noise").fill("0")
    page.get_by_label("number input for Noise").press("Tab")
    page.wait_for_function("before => document.querySelector('#zr-view .zr-after').src != before", arg=before)
    by_kind = download(page, "#zr-download", tmp_path / "kinds")

    page.get_by_role("tab", name="What was learned").click()
    page.wait_for_selector(".zr-maps >> text=transmission")

    for strength, path in (("1", full), ("0.5", half), ("Haze=0.5,Noise=0", by_kind)):
        out = tmp_path / f"out-{strength}"
        outcome = run("restore", "--config", "dehaze", "--images", photo, "--out", out, "--strength", strength, *TOY)
        assert outcome.status == 0, outcome.err
        assert path.read_bytes() == (out / photo.name).read_bytes()


def test_a_list_is_stopped_and_goes_on(page: Any, tmp_path: Path) -> None:
    add(page, *(save_toy(tmp_path / f"{seed}.png", seed) for seed in range(2)))
    Gated.gate.clear()
    try:
        page.click("#zr-restore")
        page.wait_for_selector(".zr-running")
        page.click("#zr-stop")
        page.wait_for_selector("#zr-stop >> text=Stopping")
    finally:
        Gated.gate.set()
    page.wait_for_function("document.querySelectorAll('.zr-waiting').length == 2")
    page.wait_for_selector("#zr-stop", state="hidden")  # the first run has ended; a click before that is lost
    page.click("#zr-restore >> text=Restore 2 photos")
    page.wait_for_function("document.querySelectorAll('.zr-restored').length == 2")
    page.click(".zr-row >> text=0.png")
    page.wait_for_selector(".zr-row[aria-current=true] >> text=0.png")
    with zipfile.ZipFile(download(page, "#zr-all", tmp_path)) as archive:
        assert archive.namelist() == ["0.png", "1.png"]


def test_a_photo_that_fails_says_why_in_one_line(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no photo")
    huge, note = save_toy(tmp_path / "huge.png", height=128, width=128), tmp_path / "note.txt"
    note.write_text("hello")
    page.set_input_files("#zr-drop input[type=file]", [broken, huge, note])
    page.wait_for_selector("#zr-said >> text=note.txt left out")
    said = page.inner_text(".zr-error")
    assert said.startswith("broken.png: ")
    assert len(said.splitlines()) == 1
    assert "Traceback" not in page.content()
    page.click(".zr-row >> text=huge.png")
    page.wait_for_selector(".zr-error >> text=megapixels")


def test_what_is_painted_is_filled_and_nothing_else(page: Any, tmp_path: Path) -> None:
    photo = save_toy(tmp_path / "wall.png", height=64, width=64)
    add(page, photo)
    choose(page, "Something is missing")
    page.get_by_role("tab", name="Brush").click()
    page.wait_for_selector("#zr-brush >> text=it is filled")
    box = page.locator("#zr-brush canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    with page.expect_response(lambda response: "queue/join" in response.url):
        page.mouse.up()
    page.get_by_role("tab", name="Before and after").click()
    page.click("#zr-restore")
    page.wait_for_selector(".zr-divider")
    filled = Image.open(download(page, "#zr-download", tmp_path / "down"))
    changed = (np.asarray(Image.open(photo)) != np.asarray(filled)).any(2)
    assert changed[31:34, 28:37].mean() > 0.8
    assert not changed[:20].any()
    assert not changed[44:].any()


def test_a_folder_is_taken(page: Any, tmp_path: Path) -> None:
    for seed in range(2):
        save_toy(tmp_path / "trip" / f"{seed}.png", seed)
    with page.expect_file_chooser() as asked:
        page.click("#zr-folder")
    asked.value.set_files(tmp_path / "trip")
    page.wait_for_function("document.querySelectorAll('.zr-row').length == 2")
    assert page.locator(".zr-name").all_inner_texts()[0].startswith("0.png")
    page.click("#zr-clear-list")
    page.wait_for_selector(".zr-start")

    box = page.locator("#zr-drop").bounding_box()  # and by the mouse, together with a file and folders in the folder
    save_toy(tmp_path / "trip" / "deep" / "2.png", 2)
    alone = save_toy(tmp_path / "alone.png", 3)
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(tmp_path / "trip"), str(alone)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": step, **place, "data": data})
    page.wait_for_function("document.querySelectorAll('.zr-row').length == 4")


def test_a_visitor_who_leaves_takes_the_files_along(served: Served, page: Any, tmp_path: Path) -> None:
    add(page, save_toy(tmp_path / "a.png"))
    (session,) = served.page.sessions.values()
    page.close()
    for _ in range(600):
        if not session.folder.exists():
            return
        threading.Event().wait(0.1)
    raise AssertionError("its files are still there")
