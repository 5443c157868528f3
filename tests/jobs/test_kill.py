"""kill −9 at any moment: no half-written file, nothing finished is done twice, and in the end the undisturbed bytes."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.command import save_toy
from helpers.killing import Ended, Killer
from helpers.reports import Page

WORDS = ["--images", "in", "--out", "out", "--degradation", "Haze", "--prior", "helpers.toys.ToyPrior"]
WORDS += ["--sampling.steps", "2", "--tensorboard", "false", "--save_maps"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")]


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    process = Killer()
    yield process
    process.close()


def photos(folder: Path, count: int) -> Path:
    for seed in range(count):
        name = f"in/{'' if seed % 2 else 'sub/'}{seed:02d}.{'jpg' if seed % 3 else 'png'}"
        save_toy(folder / name, seed, height=16 + seed % 4, width=18)
    return folder


def content(folder: Path) -> dict[str, object]:
    """All files below the output folder; of tables and records everything but how long the fits took.

    The digests of what was written before are left out: how often a table was written depends on the kills.
    """
    found: dict[str, object] = {}
    for path in sorted((folder / "out").rglob("*")):
        name = path.relative_to(folder / "out").as_posix()
        if name == "results.csv":
            with path.open(newline="") as file:
                found[name] = [{**row, "seconds": "", "status": ""} for row in csv.DictReader(file)]
        elif path.suffix == ".json":
            record = json.loads(path.read_bytes())
            found[name] = {**record, "photo": "", "row": {**record["row"], "seconds": 0}}
        elif path.is_file() and path.suffix not in (".sha256", ".html"):  # the page says how long the fits took
            found[name] = path.read_bytes().replace(str(folder).encode(), b"")  # config.yaml has absolute paths
    return found


def finished(folder: Path) -> set[str]:
    """The output files of the photos whose records say that they are finished."""
    records = [json.loads(path.read_bytes()) for path in (folder / "out/.zeroair").rglob("*.json")]
    return {record["depends"]["file"] for record in records if record["row"]["status"] == "restored"}


def undisturbed(killer: Killer, folder: Path, count: str = "calls") -> Ended:
    ended = killer.run(WORDS, folder, count)
    assert (ended.signal, ended.status) == (0, 0), ended.printed
    return ended


def whole(now: dict[str, object], then: dict[str, object]) -> None:
    """Each picture that is there has its final bytes, since no other settings were ever used."""
    pictures = [name for name in now if name.endswith((".png", ".jpg"))]
    assert [name for name in pictures if now[name] != then[name]] == []


def test_twenty_kills_at_random_moments(killer: Killer, tmp_path: Path) -> None:
    words = [*WORDS, "--batch", "3"]  # of four sizes there are three photos each
    reference, folder = photos(tmp_path / "reference", 12), photos(tmp_path / "killed", 12)
    undisturbed(killer, reference)
    other = content(reference)
    shutil.rmtree(reference / "out")
    ended = killer.run(words, reference)
    expected, calls = content(reference), ended.events
    assert sorted(ended.fits) == sorted(path.name for path in (reference / "in").rglob("*.*"))
    assert {**expected, "config.yaml": ""} == {**other, "config.yaml": ""}, "any batch makes the same files"
    one = tmp_path / "one"
    shutil.copytree(reference / "out", one / "out")
    shutil.copytree(reference / "in", one / "in")
    overhead = undisturbed(killer, one).events  # all photos are finished
    each = (calls - overhead) // 12
    draw = random.Random(5)
    done: set[str] = set()
    for kill in range(20):
        if kill % 2:  # while files are written, of which a photo has 40
            ended = killer.run(words, folder, "files", draw.randrange(1, 40))
        else:
            ended = killer.run(words, folder, "calls", draw.randrange(overhead + 4 * each))
        assert ended.signal == signal.SIGKILL, ended.printed
        assert done.isdisjoint(ended.fits), "a finished photo was done again"
        assert done <= finished(folder)
        done = finished(folder)
        whole(content(folder), expected)
    assert 0 < len(done) < 12, "kills before and after a photo was finished"
    last = killer.run(words, folder)
    assert (last.signal, last.status) == (0, 0), last.printed
    assert set(last.fits).isdisjoint(done)
    assert len(last.fits) == 12 - len(done)
    assert content(folder) == expected
    page = Page(folder / "out/report.html")
    assert len(page.photos) == 12
    assert all(len(entry["pictures"]) == 2 for entry in page.photos.values()), "those made before a kill, too"


def test_a_kill_before_each_file_operation_of_a_photo(killer: Killer, tmp_path: Path) -> None:
    """It replaces a result of other settings, which must not be taken for the new one, nor the new for the old one."""
    reference, before = photos(tmp_path / "reference", 1), photos(tmp_path / "before", 1)
    undisturbed(killer, reference)
    assert killer.run([*WORDS, "--seed", "1"], before).status == 0
    other, expected = content(before), content(reference)
    assert other["sub/00.png"] != expected["sub/00.png"]
    folder = Path(shutil.copytree(before, tmp_path / "killed"))
    operations = undisturbed(killer, folder, "files").events
    files = "settings, claim, photo, strip, two maps, three pictures of the page, record, table, page"
    assert operations == 4 * 15, f"{files}; digests of settings, table and page"
    for kill in range(1, operations + 1):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        ended = killer.run(WORDS, folder, "files", kill)
        assert ended.signal == signal.SIGKILL, ended.printed
        record = json.loads((folder / "out/.zeroair/sub/00.json").read_bytes())
        seed, status = record["depends"]["settings"]["seed"], record["row"]["status"]
        if status == "restored":
            wanted = expected if seed == 0 else other
            assert (folder / "out/sub/00.png").read_bytes() == wanted["sub/00.png"], f"before operation {kill}"
        undisturbed(killer, folder)
        assert content(folder) == expected, f"before operation {kill}"


def test_kills_of_a_fit_with_checkpoints(killer: Killer, tmp_path: Path) -> None:
    words = [*WORDS, "--sampling.steps", "6", "--checkpoint_every", "1"]
    reference, folder = photos(tmp_path / "reference", 2), photos(tmp_path / "killed", 2)
    assert killer.run(words, reference).status == 0
    expected, draw = content(reference), random.Random(1)
    resumed = 0
    for _ in range(8):
        kept = list((folder / "out/.zeroair").rglob("*.ckpt"))
        resumed += bool(kept)
        # After the settings and the claim come the checkpoints of the first photo, then its files.
        ended = killer.run(words, folder, "files", draw.randrange(9, 18))
        assert ended.signal == signal.SIGKILL, ended.printed
        left = list((folder / "out/.zeroair").rglob("*.ckpt"))
        assert len(left) <= 2, "of the photo that is being written, and of the one that is being fitted"
    assert resumed > 3
    ended = killer.run(words, folder)
    assert (ended.signal, ended.status) == (0, 0), ended.printed
    assert content(folder) == expected, "and neither a checkpoint nor a part of one is left"
