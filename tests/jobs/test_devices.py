"""A list on several devices: each process takes whole photos, and the files are those of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.command import Outcome, run, save_toy
from helpers.outputs import without_times
from helpers.waiting import Waiting
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.ranks import Rank
from zeroair_pl.jobs.workers import Workers

pytestmark = pytest.mark.slow  # processes that load torch

ROOT = Path(__file__).parents[2]
WORDS = ["--images", "in", "--degradation", "Noise", "--prior", "helpers.waiting.Waiting", "--sampling.steps", "2"]
WORDS += ["--strips", "false", "--tensorboard", "false", "--trainer.accelerator", "cpu"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with seven photos in ``in/``, of which c is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for seed, name in enumerate("abdefg"):
        save_toy(tmp_path / f"in/{name}.png", seed, height=16 + seed, width=18)
    (tmp_path / "in/c.png").write_bytes(b"no photo")
    return tmp_path


def spread(out: str, processes: int, *words: str) -> Outcome:
    more = ["--trainer.devices", str(processes), "--trainer.strategy", "ddp"]
    return run("restore", *WORDS, "--out", out, *more, *words)


def pictures(out: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(out).glob("*.png"))}


def statuses(out: str) -> dict[str, str]:
    return {row["name"]: row["status"] for row in without_times(out)}


def took_part() -> int:
    return len(list(Path("met").iterdir()))


def alone() -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """The results of a single process."""
    assert spread("alone", 1).status == 1, "c is no photo"
    for path in Path("met").iterdir():
        path.unlink()
    return pictures("alone"), without_times("alone")


def commands(variables: list[dict[str, Any]], words: list[str]) -> list[int]:
    """Runs them at once, each with its own environment; returns their exit statuses."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    running = [
        subprocess.Popen([sys.executable, *words], env={**os.environ, "PYTHONPATH": path, **own}) for own in variables
    ]
    try:
        return [each.wait(timeout=180) for each in running]
    finally:
        for each in running:
            each.kill()


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_a_list_and_make_the_files_of_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    expected, rows = alone()
    monkeypatch.setenv("TOGETHER", str(processes))
    monkeypatch.setenv("ZEROAIR_RESTORE__SEED", "5")  # the command line is the last word, for the others too
    outcome = spread("out", processes, "--seed", "0", "--tensorboard", "true")
    assert outcome.status == 1
    assert took_part() == processes
    assert pictures("out") == expected
    assert without_times("out") == rows
    assert [row["name"] for row in rows] == list("abcdefg")
    assert "7 photos" in outcome.out
    assert "6 restored, 1 failed" in outcome.out
    lines = [line for line in outcome.err.splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in lines] == [f"[{i}/7]" for i in range(1, 8)], "shown once"
    assert len(list(Path("out/tensorboard").iterdir())) == 6, "every rank logs its photos"


def test_fewer_photos_than_processes(folder: Path) -> None:
    for name in "bcdefg":
        Path(f"in/{name}.png").unlink()
    outcome = spread("out", 3)
    assert outcome.status == 0, outcome.err
    assert statuses("out") == {"a": "restored"}
    assert run("restore", *WORDS, "--out", "out").status == 0
    assert statuses("out") == {"a": "skipped"}, "the number of processes is none of a result's business"


def test_what_a_killed_worker_was_at_is_restored_by_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, rows = alone()
    monkeypatch.setenv("TOGETHER", "2")
    monkeypatch.setenv("DIES", "1")
    outcome = spread("out", 2, "--batch", "1")
    assert outcome.status == 1, "c is no photo"
    assert took_part() == 2
    assert pictures("out") == expected
    assert without_times("out") == rows
    assert "7 photos" in outcome.out
    assert not list(Path("out/.zeroair").rglob("*.claim"))
    assert not list(Path("out/.zeroair/processes").iterdir())


def test_a_stop_ends_all_processes_and_blames_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        until = time.monotonic() + 100
        while not Path("met").is_dir():  # the worker is at its first photo, and stays there
            assert time.monotonic() < until, "nobody came"
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setenv("TOGETHER", "2")
    monkeypatch.setattr(Waiting, "predict", stop)
    outcome = spread("out", 2)
    assert outcome.status == 130
    assert "7 photos" in outcome.out
    assert "not started" in outcome.out
    assert "process" not in outcome.err
    assert set(statuses("out")) <= {"c"}


def test_torchrun_needs_no_further_flags(folder: Path) -> None:
    expected, rows = alone()
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = [*launcher, str(ROOT / "cli.py"), "restore", *WORDS, "--out", "out"]
    assert commands([{"TOGETHER": "2"}], words) == [1], "c is no photo"
    assert took_part() == 2
    assert pictures("out") == expected
    assert without_times("out") == rows


def test_slurm_needs_no_further_flags(folder: Path) -> None:
    expected, rows = alone()
    job = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "9", "SLURM_JOB_ID": "7", "TOGETHER": "2"}
    ranks = [{**job, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in range(2)]
    assert commands(ranks, [str(ROOT / "cli.py"), "restore", *WORDS, "--out", "out"]) == [1, 1], "c is no photo"
    assert took_part() == 2
    assert pictures("out") == expected
    assert without_times("out") == rows


LEFT_OVER = {
    "torchrun": {"RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "nowhere.invalid", "MASTER_PORT": "29500"},
    "slurm": {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_NODELIST": "nowhere"},
    "wrong": {"RANK": "2", "WORLD_SIZE": "2", "SLURM_PROCID": "x", "SLURM_NTASKS": "-1", "NODE_RANK": "7"},
}


@pytest.mark.parametrize("variables", LEFT_OVER)
def test_variables_that_a_launcher_has_left_over_do_no_harm(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variables: str
) -> None:
    for name, value in LEFT_OVER[variables].items():
        monkeypatch.setenv(name, value)
    outcome = run("restore", *WORDS, "--out", "out")
    assert outcome.status == 1, "c is no photo"
    assert "6 restored, 1 failed" in outcome.out
    assert "[7/7]" in outcome.err, "and it shows what it does"
    assert len(pictures("out")) == 6


def test_what_the_environment_says() -> None:
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "n0", "MASTER_PORT": "99"}
    assert Rank.of({}, torchrun) == Rank(8, 1, launched=True)
    assert Rank.of({"accelerator": "cpu", "devices": 4}, torchrun) == Rank(8, 1, launched=True), "it starts no others"
    assert Rank.of({}, {**torchrun, "ZEROAIR_WORKER": "1"}) == Rank(8, 1, worker=True)
    slurm = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_NODELIST": "gpu[07-09]"}
    assert Rank.of({}, slurm) == Rank(4, 1, launched=True)
    assert Rank.of({}, {"RANK": "0", "WORLD_SIZE": "1"}) == Rank()
    assert Rank.of({}, {"RANK": "x", "WORLD_SIZE": "2"}) == Rank()
    assert Rank.of({"accelerator": "cpu", "devices": 3}, {}) == Rank(3)


def test_several_nodes_need_no_more_than_the_same_command(folder: Path) -> None:
    """The first process on each node starts the others there; here both nodes are this machine."""
    for seed in range(4):  # a process may hold two photos of its own
        save_toy(folder / f"in/more{seed}.png", seed, height=16, width=16)
    expected, rows = alone()
    spreading = ["--trainer.devices", "2", "--trainer.num_nodes", "2", "--batch", "1"]
    words = [str(ROOT / "cli.py"), "restore", *WORDS, "--out", "out", *spreading]
    assert commands([{"TOGETHER": "4"}] * 2, words) == [1, 1], "c is no photo"
    assert took_part() == 4
    assert pictures("out") == expected
    assert without_times("out") == rows


def test_each_fit_has_one_device() -> None:
    options = Rank(2, 1, launched=True).one_device({"accelerator": "cpu", "devices": 2, "strategy": "ddp"})
    plugins = options.pop("plugins")
    assert options == {"accelerator": "cpu", "devices": 1}
    assert [plugin.world_size() for plugin in plugins] == [1]


@pytest.mark.parametrize(
    "trainer, words",
    [
        ({"strategy": "fsdp"}, "'ddp' was expected"),
        ({"num_nodes": "two"}, "trainer.num_nodes: 'two'; expected a number"),
        ({"accelerator": "cpu", "devices": 0}, "trainer.devices: 0"),
        ({"accelerator": "abacus", "devices": 2}, "accelerator 'abacus'"),
    ],
)
def test_what_cannot_be(trainer: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Rank.of(trainer, {})


def test_settings_without_words_have_one_process(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other processes need settings in words"):
        Workers(Rank(2), tmp_path, "", lambda process: False)
    with Workers(Rank(2, 1, worker=True), tmp_path, "", lambda process: False) as workers:
        assert workers.running == 0, "a worker starts none"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up there")
def test_workers_end_with_the_process_that_started_them(folder: Path) -> None:
    expected, _ = alone()
    words = [*WORDS, "--out", "out", "--trainer.devices", "2"]
    assert commands([{"TOGETHER": "2", "DIES": "0"}], [str(ROOT / "cli.py"), "restore", *words]) == [-signal.SIGKILL]
    until = time.monotonic() + 100
    while any(Path(f"/proc/{path.name}/cmdline").exists() and not zombie(path.name) for path in Path("met").iterdir()):
        assert time.monotonic() < until, "the worker is still there"
        time.sleep(0.05)
    assert spread("out", 1).status == 1
    assert set(statuses("out").values()) <= {"restored", "skipped", "failed"}
    assert pictures("out") == expected


def zombie(pid: str) -> bool:
    """Whether the process has ended, but its parent has not read its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
