"""``report.html`` of a run: what it says, that names cannot break it, and that it is there after whatever end."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.command import TOY, Outcome, run, save_toy, table
from helpers.reports import Page
from zeroair_pl.jobs import report
from zeroair_pl.jobs.records import Row

WORDS = ("--degradation", "Haze", *TOY)


pytestmark = pytest.mark.usefixtures("folder")


def restore(*words: str, images: str = "in") -> Outcome:
    return run("restore", "--images", images, "--out", "out", *WORDS, *words)


def photos(*names: str) -> None:
    for seed, name in enumerate(names):
        save_toy(Path("in", name), seed, 24, 32)


def pictures(entry: dict[str, Any], role: str = "pictures") -> list[Path]:
    """The files that the entry shows, found as a browser finds them."""
    return [Path("out", urllib.parse.unquote(each["src"])) for each in entry.get(role, [])]


def test_what_it_says(folder: Path) -> None:
    photos("a.png", "trip/b.jpg")
    save_toy(folder / "clean/a.png", 7, 24, 32)
    Path("in/list.csv").write_text("image,reference\na.png,../clean/a.png\ntrip/b.jpg,\nc.png,\n")
    Path("in/c.png").write_bytes(b"no photo")
    assert restore(images="in/list.csv").status == 1
    page, rows = Page("out/report.html"), {row["name"]: row for row in table(folder)}
    assert page.text["h1"] == page.text["title"] == "out"
    assert page.data["summary"].startswith("3 photos: 2 restored, 1 failed.")
    assert list(page.photos) == ["a", "trip/b", "c"]
    entry = page.photos["a"]
    assert (entry["status"], entry["kind"], entry["size"]) == ("restored", "haze", "32 × 24 px")
    assert entry["psnr"] == pytest.approx(float(rows["a"]["psnr"]), abs=1e-3)
    assert entry["gain"] == pytest.approx(float(rows["a"]["psnr"]) - float(rows["a"]["psnr_input"]), abs=2e-3)
    assert entry["noise_level"] == pytest.approx(float(rows["a"]["noise_level"]), abs=1e-5)
    before, after = pictures(entry)
    assert Image.open(before).size == Image.open(after).size == (32, 24)
    assert 0 < entry["change"] < 1
    assert [each["title"].partition(" ")[0] for each in entry["maps"]] == ["transmission"]
    assert Image.open(pictures(entry, "maps")[0]).height > 24, "a small map is enlarged"
    assert {name for name, _, _ in entry["numbers"]} >= {"airlight"}
    assert "psnr" not in page.photos["trip/b"]
    failed = page.photos["c"]
    assert (failed["status"], failed["reason"]) == ("failed", rows["c"]["reason"])
    assert "pictures" not in failed
    assert "links" not in failed


def test_it_needs_nothing_but_the_files_beside_it() -> None:
    photos("a.png")
    assert restore().status == 0
    page, text = Page("out/report.html"), Path("out/report.html").read_text()
    assert "<!--" not in text, "each mark is filled in"
    assert not [tag for tag, _ in page.tags if tag in ("link", "img", "iframe")]
    assert not [attributes for tag, attributes in page.tags if tag == "script" and "src" in attributes]
    assert "http:" not in text
    assert "https:" not in text
    (policy,) = [each["content"] for tag, each in page.tags if tag == "meta" and "http-equiv" in each]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src 'self' file:;")


ODD = [
    "</script><script>alert(1)<",
    "a&b",
    'quo"te',
    "it's",
    "ümlaut ß",
    "100%41 #1?x=y",
    "<!--data-->",
    "sub/<b>&amp;",
]


@pytest.mark.parametrize("out", ["out", "<i>&amp;<!--data-->"])
def test_odd_names(folder: Path, out: str) -> None:
    photos(*(f"{name}.png" for name in ODD))
    photos(b"caf\xe9.png".decode("utf-8", "surrogateescape"))
    assert run("restore", "--images", "in", "--out", out, *WORDS).status == 0
    page = Page(Path(out, "report.html"))
    assert page.text["h1"] == page.text["title"] == out
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert {*page.photos} == {*ODD, "caf\udce9"}
    for name, entry in page.photos.items():
        assert urllib.parse.unquote(entry["links"][0][1], errors="surrogateescape") == f"{name}.png"
        for each in entry["pictures"]:
            assert not set('<>"#?& ').intersection(each["src"])
            assert Path(out, urllib.parse.unquote(each["src"], errors="surrogateescape")).is_file()


def test_none_is_written_where_none_is_wanted() -> None:
    photos("a.png")
    assert restore("--report", "false").status == 0
    assert not Path("out/report.html").exists()
    assert not Path("out/report_files").exists()
    assert restore("--report", "true").status == 0, "and that makes no new fit"
    entry = Page("out/report.html").photos["a"]
    assert entry["status"] == "skipped"
    assert "pictures" not in entry
    assert entry["links"] == [["Open the result", "a.png"]]


def test_a_later_run_keeps_what_was_shown(folder: Path) -> None:
    photos("a.png", "b.png")
    assert restore(images="in/a.png").status == 0
    before = Page("out/report.html").photos["a"]
    Path("out/results.csv").unlink()
    Path("out/report.html").unlink()
    assert restore(images="in/b.png").status == 0
    page = Page("out/report.html")
    assert list(page.photos) == ["b", "a"], "those of this run first, as in the table"
    assert page.photos["a"] == before
    assert restore("--strength", "0.5").status == 0, "which needs no new fit"
    half = Page("out/report.html").photos["a"]
    assert half["maps"] == before["maps"]
    assert half["numbers"] == before["numbers"]
    assert half["change"] == pytest.approx(before["change"] / 2, rel=0.5)
    assert all(path.is_file() for role in ("pictures", "maps") for path in pictures(half, role))
    Path("in/a.png").write_bytes(b"no photo any more")
    assert restore().status == 1
    assert "pictures" not in Page("out/report.html").photos["a"], "they are of another photo"


@pytest.mark.parametrize("mine", ["report.html", "report_files/holiday.js", "report_files"])
def test_a_page_or_its_folder_of_mine_stays_and_nothing_is_put_beside_it(folder: Path, mine: str) -> None:
    photos("a.png")
    path = folder / "out" / mine
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    for words in ((), ("--overwrite",)):
        outcome = restore(*words)
        assert outcome.status == 0
        there = sorted(each.relative_to("out").as_posix() for each in Path("out").glob("report*/*"))
        assert (path.read_bytes(), there) == (b"mine", [mine] if "/" in mine else [])
        way = mine.partition("/")[0]
        assert f"note: out/{way}: was not written by this program. It stays, and no page" in outcome.err
        assert "report" not in table(folder)[0]["note"]
    path.unlink()
    assert restore("--overwrite").status == 0
    assert len(Page("out/report.html").photos["a"]["pictures"]) == 2


def test_pictures_of_mine_beside_the_others_stay(folder: Path) -> None:
    photos("a.png")
    assert restore().status == 0
    Path("out/report_files/a.after.webp").write_bytes(b"mine")
    assert restore("--overwrite").status == 0
    assert "report_files/a.after.webp: was changed since this program wrote it. It stays." in table(folder)[0]["note"]
    assert [each["title"] for each in Page("out/report.html").photos["a"]["pictures"]] == ["before"]


def test_a_page_that_i_have_edited_is_kept_under_another_name(folder: Path) -> None:
    photos("a.png")
    assert restore().status == 0
    Path("out/report.html").write_bytes(b"edited")
    assert restore().status == 0
    assert Path("out/report.edited.html").read_bytes() == b"edited"
    assert "a" in Page("out/report.html").photos


def test_pictures_of_a_run_that_was_killed_before_its_page_are_its_own(folder: Path) -> None:
    photos("a.png")
    assert restore().status == 0
    Path("out/report.html").unlink()
    Path("out/.zeroair/written/report.html.sha256").unlink()
    assert restore("--overwrite").status == 0
    assert len(Page("out/report.html").photos["a"]["pictures"]) == 2


def test_what_cannot_be_drawn_fails_no_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no such encoder")

    photos("a.png")
    monkeypatch.setattr("zeroair_pl.inspection.pictures.encoded", fail)
    outcome = restore()
    assert outcome.status == 0
    assert table(folder)[0]["status"] == "restored"
    assert "report_files: no picture of this photo was drawn: ValueError: no such encoder" in table(folder)[0]["note"]
    assert Page("out/report.html").photos["a"]["status"] == "restored"


def test_it_grows_during_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    photos("a.png", "b.png", "c.png")
    seen: list[tuple[list[str], str]] = []
    update = report.Report.update

    def watched(self: report.Report, end: bool = False) -> None:
        update(self, end)
        page = Page("out/report.html")
        seen.append((list(page.photos), page.data["summary"]))

    monkeypatch.setattr(report, "_PAUSE", 0.0)
    monkeypatch.setattr(report, "_SHARE", 0)
    monkeypatch.setattr(report.Report, "update", watched)
    assert restore("--batch", "1").status == 0
    assert [names for names, _ in seen] == [["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c"]]
    assert seen[0][1].startswith("3 photos: 1 restored, 2 not done yet; load the page again to see more.")
    assert "not done yet" not in seen[-1][1]


def test_results_in_a_folder_are_found_without_the_pictures_of_the_page() -> None:
    photos("a.png")
    assert restore().status == 0
    assert run("restore", "--images", "out", "--out", "again", *WORDS).status == 0
    assert list(Page("again/report.html").photos) == ["a"]


def test_columns_and_statuses_that_are_not_known_are_shown_as_they_are() -> None:
    known = {column.key for column in report.columns()}
    assert {*Row.__dataclass_fields__} <= known | {"width", "height", "settings"}
    row = Row("a", "in/a.png", "a.png", "unchanged", psnr=float("inf"), psnr_input=20.0)
    entry = report.entry(row, {}, Path("out"))
    data = json.dumps(entry)
    assert '"unchanged"' in data
    assert report.summary([row, row], 0).startswith("2 photos: 2 unchanged.")
