"""Every photo of a list ends as done or failed: random sizes, failures and batch sizes in the real pipeline."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from helpers.batching import ELSEWHERE, batches_of
from helpers.command import TOY, run, save_toy, table
from zeroair_pl.jobs import pipeline, sharing
from zeroair_pl.jobs.batches import BatchSize, most_at_once
from zeroair_pl.jobs.job import Job
from zeroair_pl.jobs.records import Row
from zeroair_pl.jobs.task import Task
from zeroair_pl.photos.source import Source

SIZES = ((120, 160), (256, 256), (480, 640), (1000, 1500), (3000, 4000), (6000, 8000))
LISTS = 1000


class Plan(NamedTuple):
    """An invented photo, and what happens to it: it is good, is skipped, or fails in reading or in the fit."""

    size: tuple[int, int]
    fate: str


class Paper:
    """Has the size of a photo, but takes no memory."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.pixels = [SimpleNamespace(numel=lambda: size[0] * size[1])]


@dataclass(frozen=True)
class PaperJob:
    """Reads, fits and writes nothing, and fails where the list says so."""

    asked: BatchSize
    plans: dict[str, Plan]
    fitted: list[str]

    def read(self, source: Source) -> Task:
        size, fate = self.plans[source.name]
        task = Task(source, Row(source.name, str(source.path)))
        if fate == "read":
            task.row = replace(task.row, reason="cannot be read")
        elif fate == "skip":
            task.row = replace(task.row, status="skipped")
        else:
            task.photo = cast(Any, Paper(size))
        return task

    def batch(self, task: Task) -> int:
        height, width = cast(Any, task.photo).size
        return 1 if height * width > 1_500_000 else most_at_once(self.asked, height * width, ELSEWHERE)

    def fit(self, tasks: Sequence[Task], progress: Any) -> None:
        assert len({cast(Any, task.photo).size for task in tasks}) == 1
        for task in tasks:
            self.fitted.append(task.source.name)
            if self.plans[task.source.name].fate == "fit":
                task.row, task.photo = replace(task.row, reason="diverged"), None
            else:
                task.row = replace(task.row, status="restored")

    def write(self, task: Task) -> Row:
        return task.row


def random_list(rng: random.Random) -> dict[str, Plan]:
    sizes = rng.sample(SIZES, rng.randint(1, len(SIZES)))
    fates = ["good"] * rng.randint(1, 20) + ["read", "fit", "skip"] * rng.randint(0, 2)
    count = rng.choice((0, 1, 2, 9, 40, 200))
    together = rng.choice((1, 1, 5))  # so many photos of one size come one after the other, as they do in folders
    chosen = [rng.choice(sizes) for _ in range(-(-count // together))]
    return {f"p{i}": Plan(chosen[i // together], rng.choice(fates)) for i in range(count)}


def test_a_thousand_random_lists_lose_nothing() -> None:
    rng = random.Random(0)
    for number in range(LISTS):
        plans = random_list(rng)
        job = PaperJob(rng.choice(("auto", 1, 2, 3, 8, 16)), plans, [])
        held = rng.choice((None, None, lambda size: max(1, size // 2)))
        ahead = rng.choice((lambda wanted: wanted, lambda wanted: 0, lambda wanted: wanted // 2))
        done: list[Task] = []
        photos = [Source(Path(f"{name}.png"), name) for name in plans]
        pipeline.restore_all(cast(Job, job), photos, cast(Any, None), done.append, held, ahead)
        where = f"list {number} of {len(plans)} photos, batch {job.asked}"
        assert Counter(task.row.name for task in done) == Counter(list(plans)), where
        fits = [name for name, plan in plans.items() if plan.fate in ("good", "fit")]
        assert Counter(job.fitted) == Counter(fits), where
        assert all(task.row.status != "failed" or task.row.reason for task in done), where


def test_a_folder_of_two_sizes_is_restored_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    batches_of(monkeypatch)
    for i in range(5):
        save_toy(tmp_path / f"in/a{i}.png", i, height=16, width=16)
    for i in range(4):
        save_toy(tmp_path / f"in/b{i}.png", i, height=40, width=64)
    outcome = run("restore", "--images", "in", "--degradation", "Noise", "--out", "out", *TOY)
    assert outcome.status == 0, outcome.err
    assert [row["status"] for row in table(tmp_path)] == ["restored"] * 9
    assert len(list((tmp_path / "out").glob("*.png"))) == 9


@pytest.mark.parametrize("lost", ["a", "c"])
def test_a_photo_that_the_program_forgets_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("abc"):
        save_toy(tmp_path / f"in/{name}.png", seed, height=16, width=16)
    real = sharing.restore_all

    def forgetful(job: Job, sources: Iterable[Source], *rest: Any) -> None:
        def remembered() -> Iterator[Source]:
            yield from (source for source in sources if source.name != lost)

        real(job, remembered(), *rest)

    monkeypatch.setattr(sharing, "restore_all", forgetful)
    outcome = run("restore", "--images", "in", "--degradation", "Noise", "--out", "out", *TOY)
    assert outcome.status == 1
    assert f"error: in/{lost}.png: never started" in outcome.err
    assert {row["name"]: row["status"] for row in table(tmp_path)} == {
        name: "failed" if name == lost else "restored" for name in "abc"
    }
