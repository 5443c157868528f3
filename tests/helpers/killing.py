"""A process that forks runs of ``restore`` and kills them at counted events: moments that no machine's speed decides.

Forks start in milliseconds, where a new process would load torch first. The process that forks is one of its own, so
that no thread of the tests is copied in the middle of its work. It takes one JSON object a line on standard input:

    {"words": [...], "folder": "...", "count": "calls" | "files", "kill": 17}

runs ``restore`` with these words in that folder, ends it by SIGKILL at the 17th call of a function, or file operation,
after its settings are read (0 lets it end by itself), and answers with a line, which ``Ended`` describes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

TIMEOUT = 300  # seconds, for a run that hangs; none of them takes one
OPERATIONS = {"open", "write", "fsync", "replace"}


class Ended(NamedTuple):
    """A run that was forked: what killed it, or its exit status; its events; the files that it fitted; its streams."""

    signal: int
    status: int
    events: int
    fits: list[str]
    printed: str


class Killer:
    """The process, as a test sees it."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([*sys.path, environment.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, words: list[str], folder: Path, count: str = "calls", kill: int = 0) -> Ended:
        assert self._process.stdin
        assert self._process.stdout
        request = {"words": words, "folder": str(folder), "count": count, "kill": kill}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return Ended(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def _serve() -> None:
    import torch

    from helpers.command import run, save_toy

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:  # whatever is loaded at its first use is loaded now, for all forks
        os.chdir(folder)
        save_toy(Path("in/a.png"), height=16, width=16)
        words = ["--degradation", "Haze", "--prior", "helpers.toys.ToyPrior", "--sampling.steps", "1", "--save_maps"]
        assert run("restore", "--images", "in", *words, "--tensorboard", "false").status == 0
        os.chdir("/")
    for line in sys.stdin:
        print(json.dumps(_fork(**json.loads(line))), flush=True)


@cache
def _prepared(words: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    from zeroair_pl.config.commands import prepare, read

    return prepare("restore", read("restore", words, {}))


def _fork(words: list[str], folder: str, count: str, kill: int) -> Ended:
    function, values = _prepared(tuple(words))
    with tempfile.TemporaryFile() as report, tempfile.TemporaryFile() as printed:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                signal.alarm(TIMEOUT)
                for stream in (1, 2):
                    os.dup2(printed.fileno(), stream)
                os.chdir(folder)
                status = _run(function, values, count, kill, report.fileno())
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        report.seek(0)
        printed.seek(0)
        lines = report.read().decode().splitlines()
        fits = [json.loads(line[4:]) for line in lines if line.startswith("fit ")]
        events = next((int(line[7:]) for line in lines if line.startswith("events ")), 0)
        signum = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        return Ended(signum, code, events, fits, printed.read().decode(errors="replace"))


def _run(function: Any, values: dict[str, Any], count: str, kill: int, report: int) -> int:
    from zeroair_pl.jobs import fitting, job

    fit, events = fitting.solve, 0

    def noted(y: Any, names: list[str], *rest: Any) -> Any:
        os.write(report, "".join(f"fit {json.dumps(name)}\n" for name in names).encode())
        return fit(y, names, *rest)

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal events
        if count == "calls":
            counted = event in ("call", "c_call")
        else:
            counted = event == "c_call" and argument.__name__ in OPERATIONS and _writes(frame)
        events += counted
        if counted and events == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    fitting.solve = noted  # type: ignore[assignment]
    job.batch_size = lambda asked, *_: asked if asked != "auto" else 1
    threading.setprofile(watch)  # in those that are started from now on
    sys.setprofile(watch)
    results = function(**values)
    sys.setprofile(None)
    os.write(report, f"events {events}\n".encode())
    return int(results.exit_status)


@cache
def _writers() -> frozenset[CodeType]:
    """What writes files: the results', and a checkpoint's, of which the moment counts when it takes its place."""
    from zeroair_pl.method.checkpoints import Checkpoints
    from zeroair_pl.photos import atomic

    return frozenset(
        each.__code__ for each in (atomic._write_held, atomic.write_atomically, Checkpoints.on_train_batch_end)
    )


def _writes(frame: FrameType | None) -> bool:
    """Whether a call comes from the writing of a file, at most three calls up (pathlib is in between)."""
    for _ in range(3):
        if frame is None or frame.f_code in _writers():
            return frame is not None
        frame = frame.f_back
    return False


if __name__ == "__main__":
    _serve()
