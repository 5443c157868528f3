"""A run keeps the finished photos and rows of an earlier run, and repeats unfinished photos."""

from __future__ import annotations

import json
import os
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from helpers.command import TOY, run, save_toy, with_toys
from helpers.outputs import table_of
from helpers.toys import ToyPrior
from zeroair_pl.degradations import Haze, Noise
from zeroair_pl.jobs import fitting, job, outputs
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.records import Record, Records, Row, dependencies
from zeroair_pl.photos import atomic
from zeroair_pl.photos.atomic import clear_leftovers, write_atomically
from zeroair_pl.photos.ownership import OwnFiles
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.hub.locating import BUNDLED

WORDS = ("--degradation", "Noise", "--out", "out", *TOY)


@pytest.fixture
def folder(folder: Path) -> Path:
    """A working folder with two photos in ``in/``: a and b."""
    return with_toys(folder, "ab")


def statuses() -> dict[str, str]:
    return {row["name"]: row["status"] for row in table_of()}


def again(*words: str, images: str = "in") -> dict[str, str]:
    outcome = run("restore", "--images", images, *WORDS, *words)
    assert outcome.status == 0, outcome.err
    return statuses()


# --- what a finished photo is known by


def test_a_record_says_what_a_result_was_made_from(folder: Path) -> None:
    again("--seed", "3")
    record = json.loads(Path("out/.zeroair/a.json").read_text())
    assert record["photo"] == str(folder / "in/a.png")
    assert record["depends"]["settings"]["seed"] == 3
    assert record["depends"]["settings"]["sampling"]["steps"] == 2
    assert record["depends"]["prior"] == ToyPrior().fingerprint()
    assert "ToyPrior" in record["depends"]["code"], "it is not of this package"
    assert record["row"]["status"] == "restored"
    assert record["row"]["output"] == "a.png"


def test_the_bytes_of_a_photo_count_not_its_date_or_place(folder: Path) -> None:
    again()
    os.utime("in/a.png", (0, 0))
    assert again() == {"a": "skipped", "b": "skipped"}
    shutil.move("in", "moved")
    assert again(images="moved") == {"a": "skipped", "b": "skipped"}
    save_toy(folder / "moved/b.png", seed=7)
    shutil.copystat("moved/a.png", "moved/b.png")
    os.truncate("out/results.csv", 0)
    shutil.move("moved", "in")
    assert again() == {"a": "skipped", "b": "restored"}


@pytest.mark.parametrize("change", ["version", "prior", "code"])
def test_another_version_prior_or_plugin_is_another_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    again()
    if change == "version":
        monkeypatch.setattr("zeroair_pl.jobs.records.version", lambda: "99.0")
    elif change == "prior":
        monkeypatch.setattr(ToyPrior, "fingerprint", lambda _: "trained anew")
    else:
        edited = folder / "toys.py"
        edited.write_text(Path(str(sys.modules["helpers.toys"].__file__)).read_text() + "# edited\n")
        monkeypatch.setattr(sys.modules["helpers.toys"], "__file__", str(edited))
    assert again() == {"a": "restored", "b": "restored"}
    assert again() == {"a": "skipped", "b": "skipped"}


def test_a_single_weight_makes_another_prior(tmp_path: Path) -> None:
    before = UNetPrior().fingerprint()
    assert UNetPrior(precision="float32").fingerprint() == before, "the same weights"
    shutil.copytree(BUNDLED / "small", tmp_path / "copy")
    assert UNetPrior(str(tmp_path / "copy")).fingerprint() == before
    file = tmp_path / "copy/unet/diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    next(iter(weights.values())).view(-1)[0] += 1e-2
    save_file(weights, file, {"format": "pt"})
    assert UNetPrior(str(tmp_path / "copy")).fingerprint() != before


def test_code_of_classes_from_elsewhere_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("zeroair_plugins.mine")
    module.__file__ = str(tmp_path / "mine.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    mine = type("Mine", (Noise,), {"__module__": module.__name__})()
    found = []
    for text in ("strength = 1", "strength = 2"):
        (tmp_path / "mine.py").write_text(text)
        found.append(dependencies({}, "", [mine, Haze()])["code"])
    assert [list(code) for code in found] == [["Mine"], ["Mine"]], "what is ours has a version"
    assert found[0] != found[1]


# --- what remains of a run that ended in the middle


@pytest.mark.parametrize("moment", ["photo", "strip", "record"])
def test_an_output_without_its_record_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """A run with other settings is stopped while it replaces a finished result."""
    again()
    first = Path("out/a.png").read_bytes()

    written = {"photo": 0, "strip": 1, "record": 2}

    def stop(path: Path, data: bytes) -> None:
        if not written[moment]:
            raise KeyboardInterrupt
        written[moment] -= 1
        write_atomically(path, data)

    with monkeypatch.context() as patch:
        if moment == "record":
            patch.setattr(job, "_scored", lambda *_: stop(Path(), b""))
            written[moment] = 0
        patch.setattr(job, "write_atomically", stop if moment != "record" else write_atomically)
        words = ("--seed", "1", "--strips", "true", "--batch", "1")
        assert run("restore", "--images", "in", *WORDS, *words).status == 130
    assert statuses() == {"a": "failed", "b": "restored"}
    assert again() == {"a": "restored", "b": "skipped"}, "the output may be the other run's"
    assert Path("out/a.png").read_bytes() == first


def test_a_run_that_is_stopped_before_it_writes_leaves_what_was_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again()

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "solve", stop)
        assert run("restore", "--images", "in", *WORDS, "--seed", "1").status == 130
    assert statuses() == {"a": "restored", "b": "restored"}
    assert again() == {"a": "skipped", "b": "skipped"}


def test_the_table_comes_back_from_the_records(folder: Path) -> None:
    again()
    before = Path("out/results.csv").read_text().replace(",restored,", ",skipped,")
    Path("out/results.csv").unlink()
    again(images="in/a.png")
    assert statuses() == {"a": "skipped", "b": "restored"}
    again()
    assert Path("out/results.csv").read_text() == before


def test_a_record_that_cannot_be_read_is_none(folder: Path) -> None:
    again()
    for content in (b"", b"[1]", b'{"row": {"name": "a"}, "photo": "", "depends": {}}', b"\xff\xfe"):
        Path("out/.zeroair/a.json").write_bytes(content)
        assert again() == {"a": "restored", "b": "skipped"}


def test_without_its_records_nobody_knows_whose_a_folder_is(folder: Path) -> None:
    again()
    shutil.rmtree("out/.zeroair")
    before = {path: path.read_bytes() for path in Path("out").rglob("*.*")}
    outcome = run("restore", "--images", "in/b.png", *WORDS, "--overwrite")
    assert outcome.error == "out/results.csv: was not written by this program. Move it, or name another --out."
    assert {path: path.read_bytes() for path in Path("out").rglob("*.*")} == before


# --- leftovers


def test_leftovers_of_a_killed_run_are_cleared_and_those_in_use_are_not(folder: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    places = [Path("out"), Path("out/.zeroair"), Path("out/strips"), Path("out/sub")]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / ".zeroair-1234.tmp").write_bytes(b"half a pho")
        (place / "mine.tmp").write_bytes(b"")
    save_toy(folder / "in/sub/c.png")
    with Path("out/.zeroair-in-use.tmp").open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert again() == {"a": "restored", "b": "restored", "sub/c": "restored"}
        assert Path("out/.zeroair-in-use.tmp").exists()
    assert [path.name for path in Path("out").rglob("*.tmp")].count("mine.tmp") == len(places)
    assert [path.name for path in Path("out").rglob(".zeroair-*.tmp")] == [".zeroair-in-use.tmp"]
    again()
    assert list(Path("out").rglob(".zeroair-*.tmp")) == []


def test_a_file_being_written_is_locked_and_survives_a_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two short moments the file has no lock, and another run may take it for abandoned."""
    pytest.importorskip("fcntl")
    seen: list[list[str]] = []
    fsync, replace = os.fsync, os.replace

    def while_locked(descriptor: int) -> None:
        fsync(descriptor)
        clear_leftovers(tmp_path)
        seen.append([path.suffix for path in tmp_path.iterdir()])

    def just_after(source: Path, target: Path) -> None:
        if len(seen) == 1:
            clear_leftovers(tmp_path)
        replace(source, target)

    monkeypatch.setattr(atomic.os, "fsync", while_locked)
    monkeypatch.setattr(atomic.os, "replace", just_after)
    write_atomically(tmp_path / "x.csv", b"data")
    assert seen == [[".tmp"], [".tmp"]], "written twice, and held both times"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert (tmp_path / "x.csv").read_bytes() == b"data"


# --- names


def test_names_that_are_long_or_no_unicode_or_odd(folder: Path) -> None:
    names = ["x" * 251, "ü" * 120, "two words", "new\nline", "=1+1", "a,b;c", "\udcff\udcfe", "日本", "x'\""]
    shutil.rmtree("in")
    for name in names:
        save_toy(folder / f"in/{name}.png")
    shown = [name.replace("\udcff\udcfe", r"\udcff\udcfe") for name in sorted(names)]
    assert again() == dict.fromkeys(shown, "restored")
    assert again() == dict.fromkeys(shown, "skipped")
    assert {path.name for path in Path("out").glob("*.png")} == {f"{name}.png" for name in names}


def test_two_photos_with_one_long_beginning_have_two_records(tmp_path: Path) -> None:
    records = Records(tmp_path)
    paths = {records.path("x" * 249 + end) for end in "ab"} | {records.path("sub/" + "x" * 249 + "a")}
    assert len(paths) == 3
    assert all(len(path.name) < 255 for path in paths)


# --- long lists


def test_a_long_list_does_not_write_its_table_for_each_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    clock = [0.0]
    names = [f"{i:05d}" for i in range(20_000)]
    table = Outputs(tmp_path)
    table.names = names
    monkeypatch.setattr(OwnFiles, "write", lambda _, name, data: written.append(data.count(b"\n") - 1))
    monkeypatch.setattr(outputs.time, "monotonic", lambda: clock[0])
    for name in reversed(names):
        table.add(Row(name, f"{name}.png"))
        clock[0] += 0.1
    assert written[:3] == [1, 2, 3], "a short table is always current"
    assert len(written) < 150
    assert max(after - before for before, after in pairwise(written)) <= 601, "a minute's photos"
    table.write_table()
    assert written[-1] == 20_000


def test_the_table_has_the_order_of_the_list_whatever_ends_first(tmp_path: Path) -> None:
    for name in ("z", "y"):
        Records(tmp_path).write(Record("", {}, Row(name, f"{name}.png", status="restored")))
    table = Outputs(tmp_path)
    table.names = ["c", "z", "a", "b"]
    for name in ("b", "z", "c"):
        table.add(Row(name, f"{name}.png"))
    assert [row["name"] for row in table_of(tmp_path)] == ["c", "z", "b", "y"]
    record = table.records.read("z")
    assert record is not None
    assert not table.finished(record, ""), "its output is not there"
