"""A list on several devices: each process takes whole photos, and the files are those of one process."""

from __future__ import annotations

import csv
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.command import Outcome, run, save_toy
from helpers.company import Company
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs import sharing
from zeroair_pl.jobs.ranks import Rank
from zeroair_pl.jobs.sharing import Share
from zeroair_pl.photos.finding import Source

ROOT = Path(__file__).parents[2]
WORDS = ["--images", "in", "--degradation", "Noise", "--prior", "helpers.company.Company", "--sampling.steps", "2"]
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


def table(out: str) -> list[dict[str, str]]:
    """All but how long it took."""
    with Path(out, "results.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def statuses(out: str) -> dict[str, str]:
    return {row["name"]: row["status"] for row in table(out)}


def took_part() -> int:
    return len(list(Path("met").iterdir()))


def alone() -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """What one process makes of the photos."""
    assert spread("alone", 1).status == 1, "c is no photo"
    for path in Path("met").iterdir():
        path.unlink()
    return pictures("alone"), table("alone")


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
    monkeypatch.setenv("COMPANY", str(processes))
    monkeypatch.setenv("ZEROAIR_RESTORE__SEED", "5")  # the command line is the last word, for the others too
    outcome = spread("out", processes, "--seed", "0", "--tensorboard", "true")
    assert outcome.status == 1
    assert took_part() == processes
    assert pictures("out") == expected
    assert table("out") == rows
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


def test_a_rank_that_is_killed_costs_what_it_was_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = alone()
    with monkeypatch.context() as patch:
        patch.setenv("COMPANY", "2")
        patch.setenv("DIES", "1")
        outcome = spread("out", 2, "--batch", "1")
    lost = [row for row in table("out") if row["status"] == "failed" and row["name"] != "c"]
    assert outcome.status == 1
    assert len(lost) == 1
    assert "rank 1 ended before it was finished" in lost[0]["reason"]
    assert len(pictures("out")) == 5
    assert spread("out", 1).status == 1
    assert statuses("out") == {
        name: "failed" if name == "c" else "restored" if name == lost[0]["name"] else "skipped" for name in "abcdefg"
    }
    assert pictures("out") == expected


def test_a_stop_ends_all_ranks_and_blames_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        until = time.monotonic() + 100
        while not Path("met").is_dir():  # rank 1 is at its first photo, and stays there
            assert time.monotonic() < until, "nobody came"
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setenv("COMPANY", "2")
    monkeypatch.setattr(Company, "predict", stop)
    outcome = spread("out", 2)
    assert outcome.status == 130
    assert "7 photos" in outcome.out
    assert "not begun" in outcome.out
    assert "rank" not in outcome.err
    assert set(statuses("out")) <= {"c"}


def test_torchrun_needs_no_further_flags(folder: Path) -> None:
    expected, rows = alone()
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = [*launcher, str(ROOT / "cli.py"), "restore", *WORDS, "--out", "out"]
    assert commands([{"COMPANY": "2"}], words) == [1], "c is no photo"
    assert took_part() == 2
    assert pictures("out") == expected
    assert table("out") == rows


def test_slurm_needs_no_further_flags(folder: Path) -> None:
    expected, rows = alone()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    job = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "9", "SLURM_JOB_ID": "7", "MASTER_PORT": port, "COMPANY": "2"}
    ranks = [{**job, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in range(2)]
    assert commands(ranks, [str(ROOT / "cli.py"), "restore", *WORDS, "--out", "out"]) == [1, 0], "rank 0 tells"
    assert took_part() == 2
    assert pictures("out") == expected
    assert table("out") == rows


def test_what_the_environment_says() -> None:
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "n0", "MASTER_PORT": "99"}
    assert Rank.of({}, torchrun) == Rank(5, 8, 1, "n0", 99, started=True)
    slurm = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_NODELIST": "gpu[07-09]"}
    assert Rank.of({}, {**slurm, "SLURM_JOB_ID": "123456"}) == Rank(3, 4, 1, "gpu07", 18456, started=True)
    assert Rank.of({}, {**slurm, "SLURM_JOB_NAME": "bash"}) == Rank(), "a shell on a node"
    assert Rank.of({}, {"RANK": "0", "WORLD_SIZE": "1"}) == Rank()
    assert Rank.of({"accelerator": "cpu", "devices": 3}, {}) == Rank(size=3, here=3)


def test_several_nodes_without_a_launcher(folder: Path) -> None:
    """The first process on each node starts the others there; here both nodes are this machine."""
    expected, rows = alone()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "COMPANY": "4"}
    spreading = ["--trainer.devices", "2", "--trainer.num_nodes", "2"]
    words = [str(ROOT / "cli.py"), "restore", *WORDS, "--out", "out", *spreading]
    assert commands([{**own, "NODE_RANK": str(node)} for node in range(2)], words) == [1, 0], "c is no photo"
    assert took_part() == 4
    assert pictures("out") == expected
    assert table("out") == rows


def test_each_fit_has_one_device() -> None:
    options = Rank(1, 2, 1, started=True).one_device({"accelerator": "cpu", "devices": 2, "strategy": "ddp"})
    plugins = options.pop("plugins")
    assert options == {"accelerator": "cpu", "devices": 1}
    assert [plugin.world_size() for plugin in plugins] == [1]


@pytest.mark.parametrize(
    "trainer, environ, words",
    [
        ({"strategy": "fsdp"}, {}, "'ddp' was expected"),
        ({"num_nodes": 2}, {}, "NODE_RANK .from 0., MASTER_ADDR and MASTER_PORT"),
        ({"num_nodes": 2}, {"NODE_RANK": "2", "MASTER_ADDR": "gpu01"}, "NODE_RANK is 2; 0 to 1"),
        ({"num_nodes": 2}, {"NODE_RANK": "first", "MASTER_ADDR": "gpu01"}, "'first'"),
        ({"num_nodes": "two"}, {}, "trainer.num_nodes: 'two'; a number"),
        ({"accelerator": "cpu", "devices": 0}, {}, "trainer.devices: 0"),
        ({"accelerator": "abacus", "devices": 2}, {}, "accelerator 'abacus'"),
        ({}, {"RANK": "2", "WORLD_SIZE": "2"}, "rank 2 of 2"),
        ({}, {"RANK": "x", "WORLD_SIZE": "2"}, "'x'"),
    ],
)
def test_what_cannot_be(trainer: dict[str, Any], environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Rank.of(trainer, environ)


def test_ranks_take_each_photo_once_and_agree_on_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_rounds", itertools.count())
    photos = [Source(Path(f"{i}.png"), str(i)) for i in range(5)]
    first = Share(Rank(size=3), photos, "key")
    others = [Rank(i, 3, i, port=first.port, started=True) for i in (1, 2)]
    second = Share(others[0], photos, "key")
    a, b = iter(first), iter(second)
    assert [next(source) for source in (a, b, b, b, a)] == photos
    assert list(a) == list(b) == []
    monkeypatch.setattr(sharing, "_rounds", itertools.count())
    with pytest.raises(ConfigError, match="rank 2: has other photos or settings than rank 0"):
        Share(others[1], photos, "another key")
    second.leave()
    first.leave()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up there")
def test_nobody_goes_on_without_rank_0(folder: Path) -> None:
    expected, _ = alone()
    words = [*WORDS, "--out", "out", "--trainer.devices", "2"]
    assert commands([{"COMPANY": "2", "DIES": "0"}], [str(ROOT / "cli.py"), "restore", *words]) == [-signal.SIGKILL]
    until = time.monotonic() + 100
    while any(Path(f"/proc/{path.name}/cmdline").exists() and not zombie(path.name) for path in Path("met").iterdir()):
        assert time.monotonic() < until, "rank 1 is still there"
        time.sleep(0.05)
    assert spread("out", 1).status == 1
    assert set(statuses("out").values()) <= {"restored", "skipped", "failed"}
    assert pictures("out") == expected


def zombie(pid: str) -> bool:
    """It has ended, and nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
