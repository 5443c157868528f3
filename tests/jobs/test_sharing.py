"""A list that several processes share by giving the same command: no photo twice, none lost, one table."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from helpers.command import TOY, run, save_toy, table
from helpers.outputs import content, without_times
from helpers.reports import Page
from helpers.waiting import PATIENCE
from zeroair_pl.jobs import sharing
from zeroair_pl.jobs.claims import Claims
from zeroair_pl.jobs.fitting import Fitting
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.records import Row
from zeroair_pl.jobs.sharing import SharedList
from zeroair_pl.photos.source import Source

pytestmark = pytest.mark.slow  # processes that load torch

ROOT = Path(__file__).parents[2]
WORDS = ["--images", "in", "--degradation", "Noise", "--trainer.accelerator", "cpu", "--batch", "1", *TOY]
WORDS += ["--prior", "helpers.waiting.Waiting"]
LINE = re.compile(r"^\[\d+/\d+\] (\S+) (\w+)( in [\d.]+ s)?(: .*)?$")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def photos(count: int) -> list[str]:
    names = [f"{seed:02d}" for seed in range(count)]
    for seed, name in enumerate(names):
        save_toy(Path(f"in/{name}.png"), seed, height=16, width=16)
    return names


def started(*words: str, **variables: str) -> subprocess.Popen[str]:
    """Starts the command in a new shell."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), "restore", *WORDS, *words],
        env={**os.environ, "PYTHONPATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out, err


def own(err: str) -> list[str]:
    """The photos that a process has fitted itself, read from its output."""
    return [found[1] for line in err.splitlines() if (found := LINE.match(line)) and found[3]]


# ---- two shells ------------------------------------------------------------------------------------------------------


def test_of_two_shells_one_is_killed_halfway(folder: Path) -> None:
    names = photos(20)
    assert run("restore", *WORDS, "--out", "alone").status == 0
    for path in Path("met").iterdir():
        path.unlink()
    # A toy photo takes a handful of predictions, so the first is killed in the middle of its part of the list.
    first = started("--out", "out", TOGETHER="2", ME="first", DIES="first", DIES_AT="27")
    second = started("--out", "out", TOGETHER="2", ME="second")
    status, _, shown = ended(first)
    assert status == -signal.SIGKILL
    by_first = own(shown)
    assert 1 < len(by_first) < 10
    status, out, shown = ended(second)
    assert status == 0, shown
    assert "20 photos" in out
    assert "20 restored" in out
    by_second = own(shown)
    written = set(names) - set(by_second)
    assert set(by_first) <= written, "no photo is restored twice"
    assert len(by_second) == len(set(by_second))
    assert [row["status"] for row in without_times()] == ["restored"] * 20
    assert without_times() == without_times("alone")
    assert content("out") == content("alone"), "and neither a claim nor a half-written file is left"
    page = Page("out/report.html")
    assert [entry["status"] for entry in page.photos.values()] == ["restored"] * 20, "one page, with what each has done"


def test_two_shells_share_a_list_and_its_failures(folder: Path) -> None:
    names = photos(6)
    Path("in/02.png").write_bytes(b"no photo")
    results = [ended(each) for each in [started("--out", "out", TOGETHER="2") for _ in range(2)]]
    assert [status for status, _, _ in results] == [1, 1], "each status is that of the whole list"
    assert sorted(name for _, _, err in results for name in own(err)) == sorted({*names} - {"02"})
    for _, out, err in results:
        assert "5 restored, 1 failed" in out
        assert "error: in/02.png: not a PNG" in err
        assert len([line for line in err.splitlines() if LINE.match(line)]) == 6, "each shows the whole list"
        assert "was changed since" not in err
    assert [row["status"] for row in without_times()] == ["restored"] * 2 + ["failed"] + ["restored"] * 3


# ---- in one process: what a run does about what others have done -----------------------------------------------------


def restore(out: str = "out", *words: str, images: str = "in") -> Any:
    return run("restore", "--images", images, "--degradation", "Noise", "--batch", "1", "--out", out, *TOY, *words)


def claimed(name: str, out: str = "out") -> Claims:
    """A claim of another living process that works on a photo."""
    other = Claims()
    assert other.take(Path(out, ".zeroair", f"{name}.claim")) == {}
    return other


def test_it_waits_for_what_a_living_process_works_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(3)
    other = claimed("01")
    fits: list[str] = []
    solve = Fitting._once

    def noted(self: Fitting, tasks: Any, *rest: Any) -> Any:
        fits.extend(task.source.name for task in tasks)
        return solve(self, tasks, *rest)

    monkeypatch.setattr(Fitting, "_once", noted)
    wait = sharing.SharedList.wait

    def watched(self: SharedList, note: Any) -> bool:
        def said(line: str) -> None:
            note(line)
            assert fits == ["00", "02"]
            other.close()  # it was stopped

        return wait(self, said)

    monkeypatch.setattr(sharing.SharedList, "wait", watched)
    outcome = restore()
    assert outcome.status == 0, outcome.err
    assert fits == ["00", "02", "01"]
    assert f"note: 1 photo is left, which others work on (process {os.getpid()} on " in outcome.err


def test_ctrl_c_ends_the_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(2)
    other = claimed("01")

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sharing, "_waiting", stop)
    outcome = restore()
    other.close()
    assert outcome.status == 130
    assert "1 restored, 1 not started" in outcome.out


def test_a_photo_at_which_processes_die_fails_in_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(2)
    path = Path("out/.zeroair/01.claim")
    take = Claims.take

    def dead(self: Claims, claim: Path, **about: Any) -> Any:
        before = take(self, claim, **about)
        return before if before is None or claim.resolve() != path.resolve() else {**about, "deaths": 1}

    monkeypatch.setattr(Claims, "take", dead)
    outcome = restore()
    assert outcome.status == 1
    assert "in/01.png: 2 processes ended while they restored it; run it again to try once more." in outcome.err
    monkeypatch.undo()
    os.chdir(folder)
    assert restore().status == 0, "another run begins anew"


def test_runs_over_different_lists_make_one_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins and ends while the first is at its first photo."""
    photos(2)
    save_toy(Path("others/x.png"), 7)
    Path("others/y.png").write_bytes(b"no photo")
    solve = Fitting._once
    second: list[None] = []

    def during(self: Fitting, tasks: Any, *rest: Any) -> Any:
        if not second:
            second.append(None)
            assert restore(images="others").status == 1
        return solve(self, tasks, *rest)

    monkeypatch.setattr(Fitting, "_once", during)
    assert restore().status == 0
    statuses = {row["name"]: row["status"] for row in table(folder)}
    assert statuses == {"00": "restored", "01": "restored", "x": "restored", "y": "failed"}
    assert not list(Path("out").glob("*.edited*"))


def test_other_settings_wait_for_their_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with another seed meets a photo that is being restored, and makes it anew when that is over."""
    photos(1)
    assert restore("expected", "--seed", "1").status == 0
    other = claimed("00")

    def said(line: Any) -> str:
        other.close()
        assert restore().status == 0
        return "waits"

    monkeypatch.setattr(sharing, "_waiting", said)
    outcome = restore("out", "--seed", "1")
    assert outcome.status == 0
    assert "1 restored" in outcome.out
    assert Path("out/00.png").read_bytes() == Path("expected/00.png").read_bytes()


def test_what_others_have_just_overwritten_is_not_overwritten_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run makes one photo of the first run's list anew, while that is at another."""
    photos(3)
    assert restore().status == 0
    solve = Fitting._once
    fits: list[str] = []

    def during(self: Fitting, tasks: Any, *rest: Any) -> Any:
        fits.extend(task.source.name for task in tasks)
        if fits == ["00"]:
            assert restore("out", "--overwrite", images="in/02.png").status == 0
        return solve(self, tasks, *rest)

    monkeypatch.setattr(Fitting, "_once", during)
    outcome = restore("out", "--overwrite")
    assert outcome.status == 0
    assert "3 restored" in outcome.out
    assert fits == ["00", "02", "01"]


# ---- how many photos a process may hold ------------------------------------------------------------------------------


def share(folder: Path, count: int, expected: int = 1) -> SharedList:
    sources = [Source(folder / f"{i}.png", str(i)) for i in range(count)]
    plans = SimpleNamespace(of=lambda choice: SimpleNamespace(depends={}))
    job = SimpleNamespace(plans=plans, outputs=Outputs(folder), chosen={}, overwrite=False)
    return SharedList(cast(Job, job), sources, lambda row: None, lambda: expected)


def test_processes_take_each_photo_once_and_hold_no_more_than_their_part(tmp_path: Path) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(share(tmp_path, 10)) for _ in range(2))
        assert two.peers.began == one.peers.began, "runs of one list at one time are one run"
        first, second = iter(one), iter(two)

        def names(photos: Iterator[Source], count: int) -> list[str]:
            return [next(photos).name for _ in range(count)]

        assert (one.peers.held(4), one.peers.ahead(4)) == (5, 4), "ten photos, two processes"
        assert names(first, 3) == ["0", "1", "2"]
        assert (two.peers.held(4), two.peers.ahead(4)) == (4, 3), "it knows what the other has come to"
        assert names(second, 3) == ["3", "4", "5"]
        assert (one.peers.held(4), one.peers.ahead(4)) == (2, 2)
        assert names(first, 3) == ["6", "7", "8"]
        assert (two.peers.held(4), two.peers.ahead(4)) == (1, 0), "the last photo is for whoever fits it first"
        assert names(second, 1) == ["9"]
        assert list(first) == list(second) == []


def test_a_process_that_is_alone_fills_its_batches(tmp_path: Path) -> None:
    with share(tmp_path, 10) as one:
        assert (one.peers.held(4), one.peers.ahead(8)) == (16, 8)
    with share(tmp_path, 10, expected=5) as one:
        assert (one.peers.held(4), one.peers.ahead(8)) == (2, 2), "others are about to start"


def test_an_ended_process_leaves_no_trace(tmp_path: Path) -> None:
    with share(tmp_path, 2) as one:
        assert len(list(iter(one))) == 2
        one.done(Row("0", "0.png", reason="bad"))
        assert len(list(tmp_path.rglob("*.claim"))) == 1
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".claim", ".process")]


def test_nobody_waits_for_a_forgotten_photo(tmp_path: Path) -> None:
    """A claim of its own that it has not done after its last fit is a fault of the program, and holds nobody up."""
    with share(tmp_path, 2) as one:
        list(one)
        began = time.monotonic()
        assert not one.wait(lambda line: pytest.fail(line))
        assert time.monotonic() - began < PATIENCE
