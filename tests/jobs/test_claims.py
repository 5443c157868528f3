"""A claim has one living owner at a time, however the last one ended, with file locks and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zeroair_pl.jobs import claims
from zeroair_pl.jobs.claims import Claims, clock, owner

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub/a.claim"


def left_over(path: Path, **about: object) -> None:
    """A claim of a process that was killed."""
    code = "import os, signal, sys; from pathlib import Path; from zeroair_pl.jobs.claims import Claims\n"
    code += f"assert Claims().take(Path({str(path)!r}), **{about!r}) == {{}}; os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert path.is_file()


def aged(path: Path, seconds: float) -> None:
    date = clock(path.parent) - int(seconds * 1e9)
    os.utime(path, ns=(date, date))


def rewritten(path: Path, **changes: object) -> None:
    """Changes a claim to what another machine, or a machine without file locks, would have written."""
    other, about = Claims(), owner(path)
    with path.open("r+b") as file:
        other._write(file.fileno(), {**about, **changes})


def test_a_claim_has_one_owner(path: Path) -> None:
    first, second = Claims(), Claims()
    assert first.take(path, word=1) == {}
    assert path in first
    assert second.take(path) is None
    assert first.take(path) is None, "its own, too"
    first.renew(path, word=2)
    about = owner(path)
    assert (about["word"], about["pid"], about["id"]) == (2, os.getpid(), first.id)
    second.release(path)
    assert path.is_file(), "only the owner gives it up"
    first.release(path)
    assert not path.exists()
    assert second.take(path) == {}
    second.close()
    assert not path.exists()
    assert second.take(path) is None, "after its end a process claims nothing"


def test_what_a_killed_process_claimed_is_free_at_once(path: Path) -> None:
    left_over(path, word=3)
    mine = Claims()
    before = mine.take(path, word=4)
    assert before is not None
    assert before["word"] == 3
    assert owner(path)["word"] == 4
    mine.close()
    assert not path.exists()


def test_on_another_machine_the_sign_of_life_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "SETTLE", 0)
    left_over(path)
    rewritten(path, machine="another")
    mine = Claims()
    assert mine.take(path) is None, "its lock may be unknown here"
    aged(path, claims.SILENT - 30)
    assert mine.take(path) is None
    aged(path, claims.SILENT + 1)
    assert mine.take(path) is not None
    assert owner(path)["id"] == mine.id
    mine.close()


def test_without_locks_the_sign_of_life_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "SETTLE", 0)
    monkeypatch.setattr(claims, "lock", lambda file: None)
    first, second = Claims(), Claims()
    assert first.take(path) == {}
    assert second.take(path) is None
    aged(path, claims.SILENT + 1)
    assert second.take(path) is not None, "first was suspended for minutes, or has died"
    first.close()
    assert owner(path)["id"] == second.id, "and does not touch what is no longer its own"
    second.close()
    assert not path.exists()


def test_of_two_machines_that_take_a_claim_over_one_has_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "lock", lambda file: None)
    left_over(path)
    aged(path, claims.SILENT + 1)
    first, second = Claims(), Claims()

    def settle(seconds: float) -> None:
        if owner(path)["id"] != second.id:  # the other one has seen the old claim at the same time
            with path.open("r+b") as file:
                second._write(file.fileno(), {"locked": False})

    monkeypatch.setattr(claims.time, "sleep", settle)
    assert first.take(path) is None
    assert owner(path)["id"] == second.id


def test_a_claim_without_a_name_belongs_to_somebody_for_seconds(path: Path) -> None:
    """Its process has just created it, or was killed at that moment."""
    path.parent.mkdir()
    path.touch()
    mine = Claims()
    assert mine.take(path) is None
    aged(path, claims.EMPTY + 1)
    assert mine.take(path) == {}
    mine.close()


def test_owners_give_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    mine = Claims()
    mine.take(path)
    for _ in range(3):
        aged(path, 1000)
        for _ in range(100_000):
            if clock(path.parent) - path.stat().st_mtime_ns < 900e9:
                break
        else:
            pytest.fail("no sign of life")
    mine.close()


def test_a_full_disk_stops_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    mine = Claims()
    with monkeypatch.context() as patch:
        patch.setattr(claims.os, "open", full)
        assert mine.take(path) == {}, "what is to be written will fail, and say so"
    assert path in mine
    mine.close()


def test_a_claim_of_another_user_is_respected_while_it_gives_signs_of_life(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_over(path)
    monkeypatch.setattr(claims, "_opened", lambda path: (None, False))
    mine = Claims()
    assert mine.take(path) is None
    aged(path, claims.SILENT + 1)
    assert mine.take(path) == {}
    mine.close()
