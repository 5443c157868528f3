"""The page of photos in a real browser: dragging, keys, search, filters, order, and thousands of photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from helpers.browser import browser, open_page, until
from zeroair_pl.inspection.pages import NAME, address, page
from zeroair_pl.inspection.pictures import small
from zeroair_pl.jobs.records import Row
from zeroair_pl.jobs.report import columns, entry

__all__ = ["browser"]

KINDS = ("Haze", "LowLight", "Noise")
BAD = "<img src=x onerror=alert(1)>"  # a name that would run, were it set as HTML


def write(folder: Path, count: int, shared: bool = False) -> str:
    """A page of photos, of which every tenth has failed; its address. ``shared``: all show the same two files."""
    made = small(torch.zeros(3, 30, 40), torch.ones(3, 30, 40), {"map": torch.rand(1, 1, 30, 40)})
    entries = []
    for i in range(count):
        name = BAD if i == 1 else f"a#b/photo {i} 100%"
        result: dict[str, Any] = (
            {"status": "failed", "reason": f"in/{name}.png: no photo"}
            if i % 10 == 9
            else {"status": "restored", "output": f"{name}.png", "amount": 0.5, "found": f"because of {i}"}
        )
        numbers: dict[str, Any] = {"noise_level": (i * 7 % 10) / 255, "seconds": float(i), "width": 40, "height": 30}
        row = Row(name, f"in/{name}.png", kind=KINDS[i % 3], **numbers, **result)
        key = "one" if shared else name
        files = {"before": made.before, "after": made.after, "map": next(iter(made.maps.values()))}
        shown = {
            "pictures": [[title, f"report_files/{key}.{title}.webp"] for title in ("before", "after")],
            "maps": [["map", f"report_files/{key}.map.webp"]],
            "numbers": [["airlight", "0.9, 0.8, 0.7", "rgb(230 204 179)"]],
            "ratio": made.ratio, "change": (i + 1) / count,
        }  # fmt: skip
        for title, data in files.items():
            path = folder / f"report_files/{key}.{title}.webp"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        entries.append(entry(row, shown, folder))
    (folder / NAME).write_bytes(page("Photos", f"{count} photos", columns(), entries))
    return f"file://{address(str(folder / NAME))}"


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A page of 30 photos; an error in the browser fails the test at its end."""
    shown, errors = open_page(browser, write(tmp_path, 30), viewport={"width": 1200, "height": 900})
    yield shown
    shown.close()
    assert errors == []


def names(shown: Any) -> list[str]:
    found: list[str] = shown.locator(".card h2").all_inner_texts()
    return found


def test_pictures_load_when_they_come_into_view(opened: Any) -> None:
    until(opened, "[...document.images].length > 5 && [...document.images].every(i => i.naturalWidth == 40)")
    seen = opened.evaluate("document.images.length")
    assert seen < 50, "not those far below"
    assert opened.locator("[alt]").first.get_attribute("alt") == "a#b/photo 0 100%, after"
    opened.locator(".card").last.scroll_into_view_if_needed()
    until(opened, "document.querySelectorAll('.card')[28].querySelector('img')?.naturalWidth == 40")
    assert BAD in names(opened)
    assert "in/a#b/photo 29 100%.png: no photo" in opened.locator(".card.failed").last.inner_text()


def at(opened: Any) -> float:
    text: str = opened.locator(".compare").first.evaluate("node => node.style.getPropertyValue('--at')")
    return float(text.removesuffix("%"))


def test_the_divider_is_dragged(opened: Any) -> None:
    frame = opened.locator(".compare").first
    box = frame.bounding_box()
    assert at(opened) == 50
    place = lambda share: (box["x"] + share * box["width"], box["y"] + box["height"] / 2)  # noqa: E731
    opened.mouse.move(*place(0.5))
    opened.mouse.down()
    opened.mouse.move(*place(0.25), steps=4)
    assert at(opened) == pytest.approx(25, abs=1)
    opened.mouse.move(*place(2), steps=4)
    assert at(opened) == 100, "outside of the picture, too"
    opened.mouse.up()
    opened.mouse.move(*place(0.5))
    assert at(opened) == 100
    clipped = frame.locator("img").nth(1).evaluate("node => getComputedStyle(node).clipPath")
    assert clipped in ("inset(0px calc(0%) 0px 0px)", "inset(0px 0% 0px 0px)", "inset(0px)"), clipped
    opened.keyboard.press("Home")
    assert at(opened) == 0
    opened.keyboard.press("ArrowRight")
    assert at(opened) == 1, "keys move it as well"
    name = frame.locator("input").get_attribute("aria-label")
    assert name == "Divider of a#b/photo 0 100%: before on its left, after on its right"


def test_at_100_percent_the_files_themselves_are_shown(browser: Any, tmp_path: Path) -> None:
    for name, color in (("in/a.png", "red"), ("out/a.png", "blue")):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (1500, 1100), color).save(tmp_path / name)
    row = Row("a", "in/a.png", "a.png", "restored", width=1500, height=1100)
    small = [["before", "report_files/b.webp"], ["after", "report_files/a.webp"]]
    (tmp_path / "out/report_files").mkdir()
    for _, name in small:
        Image.new("RGB", (30, 22), "gray").save(tmp_path / "out" / name)
    shown = {"photo": str(tmp_path / "in/a.png"), "pictures": small, "change": 0.1, "ratio": 1.36}
    (tmp_path / "out" / NAME).write_bytes(page("P", "", columns(), [entry(row, shown, tmp_path / "out")]))
    opened, errors = open_page(browser, f"file://{address(str(tmp_path / 'out' / NAME))}")
    opened.click(".open")
    opened.click("#zoom")
    until(opened, "document.querySelector('.big .compare').offsetWidth == 1500")
    assert opened.evaluate("[...document.querySelectorAll('.big img')].map(node => node.naturalWidth)") == [1500] * 2
    assert opened.evaluate("document.querySelector('.big').scrollLeft") > 0, "its middle"
    opened.click("#zoom")
    until(opened, "document.querySelector('.big .compare').offsetWidth < 1300")
    (tmp_path / "in/a.png").unlink()  # the photo was moved
    opened.reload()
    opened.click(".open")
    opened.click("#zoom")
    until(opened, "document.querySelectorAll('.big img')[1].naturalWidth == 30")
    assert [each for each in errors if "in/a.png" not in each and "ERR_FILE_NOT_FOUND" not in each] == []
    opened.close()
    assert entry(Row("a", "a.tif", "a.tif", "restored"), {"photo": "/in/a.tif"}, tmp_path)["full"] == [], (
        "no browser shows these"
    )


def test_the_divider_under_a_finger(browser: Any, tmp_path: Path) -> None:
    sides = {"width": 390, "height": 844}
    context = browser.new_context(viewport=sides, has_touch=True, is_mobile=True)
    shown, errors = open_page(context, write(tmp_path, 3))
    box = shown.locator(".compare").first.bounding_box()
    shown.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + 20)
    assert at(shown) == pytest.approx(80, abs=1)
    assert shown.evaluate("document.documentElement.scrollWidth") <= sides["width"], "nothing is cut off on a phone"
    context.close()
    assert errors == []


def test_search_filters_and_order(opened: Any) -> None:
    assert len(names(opened)) == 30
    opened.fill("#search", "PHOTO haze because")
    assert len(names(opened)) == 9, "all words, in any place and case"
    assert opened.inner_text("#count") == "9 of 30"
    opened.fill("#search", "")
    opened.click("#attention button")
    assert names(opened) == [f"a#b/photo {i} 100%" for i in (9, 19, 29)]
    opened.click("#attention button")
    opened.select_option("#kinds select", "low light")
    assert len(names(opened)) == 10
    opened.select_option("#kinds select", "")
    opened.select_option("#sort select", "change")
    assert names(opened)[0] == "a#b/photo 28 100%", "of the failed there is none"
    opened.click("#flip")
    assert names(opened)[0] == "a#b/photo 0 100%"
    assert names(opened)[-3:] == [f"a#b/photo {i} 100%" for i in (9, 19, 29)]
    opened.click("#flip")
    opened.select_option("#sort select", "name")
    assert names(opened)[:3] == [BAD, "a#b/photo 0 100%", "a#b/photo 2 100%"], "numbers count as numbers"
    opened.fill("#search", "nowhere to be found")
    assert names(opened) == []
    opened.click("#all")
    assert len(names(opened)) == 30
    assert opened.locator("#sort option").all_inner_texts() == [
        "list",
        "name",
        "kind",
        "status",
        "how much was corrected",
        "change",
        "noise",
        "time",
    ]


def test_one_photo_large(opened: Any) -> None:
    opened.locator(".card h2 button").nth(1).click()
    dialog = opened.locator("dialog")
    assert dialog.locator("h2").inner_text() == BAD
    facts = dialog.locator(".rest").inner_text()
    for each in (
        "because of 1",
        "7.0/255",
        "1.0 s",
        "40 × 30 px",
        f"in/{BAD}.png",
        "airlight",
        "0.9, 0.8, 0.7",
        "50 %",
    ):
        assert each in facts
    until(opened, "document.querySelector('.maps img').naturalWidth > 0")
    opened.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == "a#b/photo 2 100%"
    link = dialog.locator(".links a").get_attribute("href")
    assert link == "a%23b/photo%202%20100%25.png"
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("ArrowLeft")
    assert dialog.locator("#back").is_disabled()
    opened.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_it_can_be_used_without_a_mouse(opened: Any) -> None:
    def focused() -> str:
        found: str = opened.evaluate(
            "(e => e.ariaLabel || e.placeholder || e.textContent.trim())(document.activeElement)"
        )
        return found

    seen = []
    for _ in range(12):
        opened.keyboard.press("Tab")
        seen.append(focused())
    assert seen[:2] == ["3 photos failed: see why", "Search names, kinds, reasons"]
    assert "Reverse the order" in seen
    assert any(each.startswith("Divider of ") for each in seen)
    unnamed = "[...document.querySelectorAll('button, input, select')].filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim())).length"  # noqa: E501
    assert opened.evaluate(unnamed) == 0


CONTRAST = """
() => {
  const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const color = text => text.match(/[\\d.]+/g).map(Number);
  const paper = node => {
    for (; node; node = node.parentElement) {
      const found = color(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('h1, p, button, select, .badge, .amount, small, label, footer, output')]
    .filter(node => node.checkVisibility({ visibilityProperty: true }) && node.textContent.trim() && !node.disabled)
    .map(node => {
      const [a, b] = [light(color(getComputedStyle(node).color)), light(paper(node))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.className || node.tagName];
    }).filter(([ratio]) => ratio < 4.5);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser: Any, tmp_path: Path, scheme: str) -> None:
    shown, errors = open_page(browser, write(tmp_path, 12), color_scheme=scheme)
    shown.wait_for_selector(".why")
    assert shown.evaluate(CONTRAST) == []
    paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(paper[4:].partition(",")[0]) > 128) == (scheme == "light")
    shown.close()
    assert errors == []


SHIFT = """new Promise(done => {
  let sum = 0;
  new PerformanceObserver(list => list.getEntries().forEach(each => sum += each.value))
    .observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(sum), 300);
})"""


def test_five_thousand_photos(browser: Any, tmp_path: Path) -> None:
    where = write(tmp_path, 5000, shared=True)
    assert (tmp_path / NAME).stat().st_size < 4_000_000
    shown, errors = open_page(browser, where)
    until(shown, "document.querySelector('.card img')?.naturalWidth == 40")
    until(shown, "document.querySelectorAll('.card').length == 5000")
    assert shown.evaluate("document.querySelectorAll('*').length") < 40_000
    assert shown.evaluate("document.images.length") < 100
    assert shown.evaluate(SHIFT) == 0, "nothing jumps while it opens"
    high = shown.evaluate("document.documentElement.scrollHeight")
    shown.evaluate("window.scrollTo(0, document.documentElement.scrollHeight / 2)")
    until(shown, "[...document.images].some(i => i.naturalWidth && i.getBoundingClientRect().top > 0)")
    assert shown.evaluate("document.documentElement.scrollHeight") == high
    assert shown.evaluate("document.images.length") < 100, "what is far away is let go"
    shown.close()
    assert errors == []


def test_a_picture_that_is_gone_is_said(browser: Any, tmp_path: Path) -> None:
    where = write(tmp_path, 2)
    for path in tmp_path.rglob("*.before.webp"):
        path.unlink()
    shown, errors = open_page(browser, where)
    until(shown, "document.querySelectorAll('.lost').length == 2")
    assert shown.locator(".lost").first.inner_text() == "before: no picture"
    shown.close()
    assert all("failed" in each.lower() for each in errors)
