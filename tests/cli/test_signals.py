"""Signals that ask the program to end. ``test_restore`` tests what a run does then."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from zeroair_pl.cli.process import Stopped, clean_stop


@pytest.fixture(autouse=True)
def inherited() -> Iterator[None]:
    """Replaces the signal handlers of the process that runs the tests by the default ones."""
    signals = (signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.signal(each, signal.SIG_DFL) for each in signals]
    yield
    for each, handler in zip(signals, handlers, strict=True):
        signal.signal(each, handler)


def stopped_twice() -> None:
    with clean_stop():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)


def test_the_first_signal_stops_and_others_do_not_disturb_the_summary() -> None:
    with pytest.raises(Stopped, match="SIGTERM") as caught:
        stopped_twice()
    assert caught.value.status == 143
    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_a_signal_that_is_ignored_or_handled_by_another_stays_so() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    with clean_stop():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
    assert seen == [1]


def test_a_thread_leaves_signals_alone() -> None:
    found: list[object] = []

    def look() -> None:
        with clean_stop():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]
