"""Reading, fitting and writing overlap, and order, bytes and the files after an interrupt stay the same."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.command import TOY, Outcome, run, save_toy, with_toys
from helpers.outputs import table_of
from zeroair_pl.config.commands import prepare, read
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs import fitting, job, pipeline
from zeroair_pl.jobs.pipeline import Worker
from zeroair_pl.jobs.records import Row

PATIENCE = 60  # seconds, for a thread that never comes; all others come at once


@pytest.fixture
def folder(folder: Path) -> Path:
    """A working folder with four photos in ``in/``."""
    return with_toys(folder, "abcd", height=16, width=16)


def restore(out: str = "out") -> Outcome:
    return run("restore", "--images", "in", "--degradation", "Noise", "--batch", "1", "--out", out, *TOY)


def rows(out: str = "out") -> list[tuple[str, str]]:
    return [(row["name"], row["status"]) for row in table_of(out)]


class Noted:
    """Records which photo is read, fitted and written, and can make one step wait for another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[str] = []
        self.came = threading.Condition()
        self.waits: dict[str, str] = {}
        for step in ("load_photo", "solve", "encode_photo"):
            home = fitting if step == "solve" else job
            monkeypatch.setattr(home, step, self.wrapped(step, getattr(home, step)))

    def wrapped(self, step: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*values: Any) -> Any:
            name = values[1][0] if step == "solve" else Path(values[0]).name
            what = f"{step.partition('_')[0]} {name[0]}"
            with self.came:
                wanted = self.waits.get(what)
                assert wanted is None or self.came.wait_for(lambda: wanted in self.order, PATIENCE), f"no {wanted}"
            outcome = real(*values)
            with self.came:
                self.order.append(what)
                self.came.notify_all()
            return outcome

        return wrapper


def test_the_next_photo_is_read_and_the_last_one_written_during_a_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore("before")
    noted = Noted(monkeypatch)
    # Each would wait in vain if one thing were done after the other.
    noted.waits = {"solve b": "load c", "solve c": "encode b", "encode c": "solve d"}
    assert restore().status == 0
    assert rows() == [(name, "restored") for name in "abcd"]
    for name in "abcd":
        assert Path(f"out/{name}.png").read_bytes() == Path(f"before/{name}.png").read_bytes()


def test_a_large_photo_is_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "LARGE", 0)
    noted = Noted(monkeypatch)
    restore()
    assert noted.order == [f"{step} {name}" for name in "abcd" for step in ("load", "solve", "encode")]


def test_no_more_than_three_photos_are_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        save_toy(folder / f"in/{seed:02d}.png", seed, height=16, width=16)
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []
    load = job.load_photo

    def counted(path: Path) -> Any:
        photo = load(path)
        gc.collect()
        made.append(weakref.ref(photo))
        alive.append(sum(each() is not None for each in made))
        return photo

    monkeypatch.setattr(job, "load_photo", counted)
    assert restore().status == 0
    assert len(alive) == 10
    assert max(alive) <= 3


def test_what_was_fitted_before_an_interrupt_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(monkeypatch)
    fit = fitting.solve

    def interrupted(y: Any, names: list[str], *rest: Any) -> Any:
        if names == ["c.png"]:
            noted.order.append("stop")
            with noted.came:
                noted.came.notify_all()
            raise KeyboardInterrupt
        return fit(y, names, *rest)

    monkeypatch.setattr(fitting, "solve", interrupted)
    noted.waits = {"encode b": "stop"}
    outcome = restore()
    assert outcome.status == 130
    assert "2 restored, 2 not started" in outcome.out
    assert rows() == [("a", "restored"), ("b", "restored")]


@pytest.mark.parametrize("step", ["load_photo", "encode_photo"])
def test_an_interrupt_or_a_wrong_setting_in_another_thread_ends_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real = getattr(job, step)
    for error, status in ((KeyboardInterrupt(), 130), (ConfigError("wrong"), 2)):

        def fails(path: Path, *rest: Any, error: BaseException = error) -> Any:
            if Path(path).name == "b.png":
                raise error
            return real(path, *rest)

        monkeypatch.setattr(job, step, fails)
        outcome = restore(f"out {status}")
        assert outcome.status == status
        assert rows(f"out {status}")[0] == ("a", "restored")
        assert ("b", "restored") not in rows(f"out {status}")
    assert {thread.name for thread in threading.enumerate()}.isdisjoint({"read", "write"})


def test_trouble_with_the_screen_ends_the_run_as_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("zeroair_pl.inspection.progress.ListProgress.print", gone)
    words = ["--images", "in", "--degradation", "Noise", "--out", "out", *TOY]
    function, values = prepare("restore", read("restore", words, {}))
    with pytest.raises(BrokenPipeError):
        function(**values)
    assert rows()[0] == ("a", "restored")


def test_what_hangs_in_a_thread_does_not_hold_up_an_interrupt() -> None:
    never = threading.Event()

    def stopped() -> None:
        with Worker("read") as worker:
            worker.submit(never.wait)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    never.set()


def test_a_worker_keeps_order_and_hands_over_errors() -> None:
    done: list[int] = []
    with Worker("write") as worker:
        futures = [worker.submit(done.append, i) for i in range(100)]
        failed = worker.submit(Row)
        assert isinstance(failed.exception(PATIENCE), TypeError)
        assert [future.result() for future in futures] == [None] * 100
    assert done == list(range(100))
