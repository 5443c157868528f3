"""A script's modes of torch, random states, filters and threads disturb no restoration, and are left as they are."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.command import save_toy
from zeroair_pl import Restorer, restore
from zeroair_pl.tensors.modes import own_modes

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {
    "prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}, "strips": False, "tensorboard": False
}  # fmt: skip


@contextmanager
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


# One print at the end: lines that threads print at the same time run together.
THREADS = """
import threading, zeroair_pl
found = []
def f(i):
    rows = zeroair_pl.restore("a.png", "dehaze", out=f"out{i}", strips=False, tensorboard=False, quiet=True,
                              sampling={"steps": 2}).rows
    found.append(rows[0].status)
threads = [threading.Thread(target=f, args=(i,)) for i in range(4)]
[each.start() for each in threads]
[each.join() for each in threads]
print(*found)
"""


def test_the_first_calls_of_several_threads(tmp_path: Path) -> None:
    """A library may not be imported yet when all of them need it."""
    save_toy(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-c", THREADS], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["restored"] * 4, done.stderr[-1000:]
    assert len({(tmp_path / f"out{i}/a.png").read_bytes() for i in range(4)}) == 1


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": doubles,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "meta": lambda: torch.device("meta"),
    "set_grad_enabled": lambda: torch.set_grad_enabled(False),
}


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save_toy(tmp_path / "a.png")


@pytest.fixture
def plain(photo: Path) -> bytes:
    """The photo as restored in torch's plain mode."""
    assert [row.status for row in restore("a.png", "auto", out="plain", **SETTINGS).rows] == ["restored"]
    return Path("plain/a.png").read_bytes()


def state() -> dict[str, Any]:
    """The global state of this process and thread that a restoration must not change."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": (name, np.asarray(keys).tolist(), rest),
        "threads": torch.get_num_threads(),
        "filters": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr),
        "variables": dict(os.environ),
        "interval": sys.getswitchinterval(),
        "folder": os.getcwd(),
    }


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_changes_no_byte_and_is_left_as_it_is(plain: bytes, mode: str) -> None:
    with MODES[mode]():
        before = state()
        rows = restore("a.png", "auto", out="out", **SETTINGS).rows
        after = state()
    assert [(row.status, row.reason) for row in rows] == [("restored", "")]
    assert Path("out/a.png").read_bytes() == plain
    assert {key for key in before if before[key] != after[key]} == set()


@pytest.mark.parametrize("mode", ["inference_mode", "float64"])
def test_a_restorer_too(photo: Path, mode: str) -> None:
    batch: dict[str, list[Any]] = {"path": ["a.png"], "bytes": [photo.read_bytes()]}
    few = {key: SETTINGS[key] for key in ("prior", "sampling")}
    (plain,) = Restorer("auto", **few)(batch)["bytes"]
    with MODES[mode]():
        before = state()
        (restored,) = Restorer("auto", **few)(batch)["bytes"]
        after = state()
    assert restored == plain != b""
    assert {key for key in before if before[key] != after[key]} == set()


def test_modes_of_calls_that_overlap() -> None:
    begun, end = threading.Event(), threading.Event()

    def other() -> None:
        with own_modes():
            begun.set()
            end.wait(30)

    with doubles():
        thread = threading.Thread(target=other)
        with own_modes():
            thread.start()
            assert begun.wait(30)
        assert torch.get_default_dtype() == torch.float32, "the other call still needs it"
        end.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64


def fails() -> None:
    with own_modes():
        torch.set_grad_enabled(True)
        torch.rand(1)
        raise KeyError("x")


def test_an_error_sets_everything_back() -> None:
    with doubles(), torch.no_grad():
        before = state()
        with pytest.raises(KeyError, match="x"):
            fails()
        assert {key for key, value in state().items() if value != before[key]} == set()


FORK = """
import os, sys, warnings
import torch
import zeroair_pl
torch.set_num_threads(2)
before = list(warnings.filters)
settings = dict(sampling={"steps": 1}, strips=False, tensorboard=False)
first = zeroair_pl.restore("a.png", "denoise", out="first", **settings)
assert list(warnings.filters) == before, "what libraries add when they are imported, too"
child = os.fork()
if not child:
    rows = zeroair_pl.restore("a.png", "denoise", out="second", **settings).rows
    os._exit(0 if [row.status for row in rows] == ["restored"] else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_that_was_forked_after_a_restoration(photo: Path) -> None:
    """Torch's threads are not forked, and an operation that waits for one would wait for ever."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", FORK], env=environment, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert Path("first/a.png").read_bytes() == Path("second/a.png").read_bytes()
