"""Disks that are full or read-only, files that vanish, lists that are long: what is done stays, the rest goes on."""

from __future__ import annotations

import errno
import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from helpers.command import TOY, Outcome, run, save_toy, with_toys
from helpers.outputs import rows
from zeroair_pl.errors import did_you_mean
from zeroair_pl.jobs import fitting
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.records import Row
from zeroair_pl.photos import absent, atomic
from zeroair_pl.photos.absent import why_missing
from zeroair_pl.photos.finding import find_images

WORDS = ("--degradation", "Noise", "--out", "out", *TOY)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def folder(folder: Path) -> Path:
    """A working folder with three photos in ``in/``: a, b and c."""
    return with_toys(folder, "abc")


def restore(*words: str, images: str = "in") -> tuple[Outcome, dict[str, dict[str, str]]]:
    return run("restore", "--images", images, *WORDS, *words), rows()


def statuses(rows: dict[str, dict[str, str]]) -> list[str]:
    return [row["status"] for row in rows.values()]


# --- disks


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("file", [".zeroair/b.json", "b.png", "strips/b.png"])
def test_an_output_that_cannot_be_written_fails_its_photo_and_a_picture_is_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, file: str
) -> None:
    real = atomic._write_held
    current: list[Path] = []
    write = atomic.write_atomically

    def noted(path: Path, data: bytes) -> None:
        current.append(path)
        write(path, data)

    def fails(temporary: Path, data: bytes) -> None:
        real(temporary, data[: len(data) // 2])
        if current[-1] == Path("out") / file:
            raise OSError(number, "on purpose")
        temporary.unlink()
        real(temporary, data)

    with monkeypatch.context() as patch:
        for module in ("photos.writing", "jobs.records", "photos.ownership", "jobs.job"):
            patch.setattr(f"zeroair_pl.{module}.write_atomically", noted)
        patch.setattr(atomic, "_write_held", fails)
        outcome, rows = restore("--strips", "true")
    said, strip = f"out/{file}: cannot be written (on purpose).", file.startswith("strips")
    assert outcome.status == (0 if strip else 1)
    assert statuses(rows) == ["restored", "restored" if strip else "failed", "restored"]
    assert rows["b"]["note" if strip else "reason"] == said
    assert f"{'note' if strip else 'error'}: {said}" in outcome.err
    assert list(Path("out").rglob(".zeroair-*")) == []
    outcome, rows = restore("--strips", "true")
    again = "skipped" if strip else "restored"
    assert (outcome.status, statuses(rows)) == (0, ["skipped", again, "skipped"]), "when there is room again"


def test_a_table_that_cannot_be_written_stops_no_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore(images="in/a.png")
    before = Path("out/results.csv").read_bytes()
    real = atomic._write_held

    def fails(temporary: Path, data: bytes) -> None:
        if data.startswith(b"name,input,"):
            raise OSError(errno.ENOSPC, "on purpose")
        real(temporary, data)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_write_held", fails)
        outcome, _ = restore()
    assert outcome.status == 1
    assert "2 restored, 1 skipped" in outcome.out
    assert outcome.err.count("error: out/results.csv: cannot be written (on purpose).") == 1
    assert Path("out/results.csv").read_bytes() == before
    assert statuses(restore()[1]) == ["skipped"] * 3


def test_no_fit_is_begun_without_room_for_its_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "solve", lambda *_: pytest.fail("a fit was begun"))
        patch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 900_000, 900_000))
        outcome, rows = restore()
    assert outcome.status == 1
    assert rows["b"]["reason"] == "in/b.png: not started: out has 0.9 MB left, and its results may take 1.0 MB."
    assert statuses(restore()[1]) == ["restored"] * 3


def test_an_output_folder_that_vanishes_comes_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, save, saved = fitting.solve, Outputs.add, threading.Event()

    def add(self: Outputs, row: Row) -> None:
        save(self, row)
        saved.set()

    def fit(y: Any, names: list[str], *rest: Any) -> Any:
        if names == ["b.png"]:
            assert saved.wait(60)
            while Path("out").exists():  # a lock of the photo before may vanish at the same time
                shutil.rmtree("out", ignore_errors=True)
            Path("out").mkdir()
        return real(y, names, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "solve", fit)
        patch.setattr(Outputs, "add", add)
        assert restore("--batch", "1")[0].status == 0
    assert {path.name for path in Path("out").glob("*.png")} == {"b.png", "c.png"}
    assert statuses(restore()[1]) == ["restored", "skipped", "skipped"]


# --- photos


def test_a_photo_that_vanishes_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fitting.solve

    def fit(*rest: Any) -> Any:
        Path("in/c.png").unlink(missing_ok=True)  # b may be in memory already
        return real(*rest)

    monkeypatch.setattr(fitting, "solve", fit)
    outcome, rows = restore("--batch", "1")
    assert outcome.status == 1
    assert statuses(rows) == ["restored", "restored", "failed"]
    assert "in/c.png does not exist" in rows["c"]["reason"]


def test_a_photo_that_vanishes_leaves_what_was_finished(folder: Path) -> None:
    Path("in/list.txt").write_text("a.png\nb.png\nc.png\n")
    restore(images="in/list.txt")
    before = Path("out/b.png").read_bytes()
    content = Path("in/b.png").read_bytes()
    Path("in/b.png").unlink()
    assert statuses(restore(images="in/list.txt")[1]) == ["skipped", "failed", "skipped"]
    assert Path("out/b.png").read_bytes() == before
    Path("in/b.png").write_bytes(content)
    assert statuses(restore(images="in/list.txt")[1]) == ["skipped"] * 3


def test_odd_names_have_boards_too(folder: Path) -> None:
    shutil.rmtree("in")
    names = ["two words", "new\nline", "\udcff", "日本", "a..x", "x" * 200]
    for name in names:
        save_toy(folder / f"in/{name}.png")
    outcome = run("restore", "--images", "in", *WORDS, "--tensorboard", "true", "--strips", "true")
    assert outcome.status == 0, outcome.err
    assert len(list(Path("out/tensorboard").rglob("events*"))) == len(names)
    assert len(list(Path("out/strips").glob("*.png"))) == len(names)
    for path in Path("in").iterdir():
        path.write_bytes(b"")
    outcome, rows = restore()
    assert statuses(rows) == ["failed"] * len(names)
    assert len(outcome.err.splitlines()) == 2 * len(names), "a line for its end, and one that says why"


# --- long lists


def test_a_missing_file_is_compared_with_few_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 100,000 may be missing, in a folder of as many."""
    for i in range(3000):
        (tmp_path / f"holiday_{i:04d}.jpg").touch()
    compared: list[int] = []

    def counted(name: str, known: list[str]) -> str:
        compared.append(len(known))
        return did_you_mean(name, known)

    monkeypatch.setattr(absent, "did_you_mean", counted)
    assert "Did you mean 'holiday_1234.jpg'?" in why_missing(tmp_path / "holiday_1234.jpeg")
    assert 0 < compared[0] <= 100


def test_a_list_is_found_in_time_that_grows_with_its_length(tmp_path: Path) -> None:
    """Work that grew with the square of this list would take the better part of an hour."""
    lines = [f"{i % 7}/{i % 100}/{i // 10:05d}.{('png', 'jpg')[i % 2]}" for i in range(20_000)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = find_images(tmp_path / "list.txt")
    assert [source.path for source in found] == [tmp_path / line for line in lines]
    assert len({source.name.casefold() for source in found}) == len(lines)
