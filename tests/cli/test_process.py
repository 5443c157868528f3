"""The settings of the process."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys

import pytest
import torch  # noqa: F401 - for the last test

from zeroair_pl.cli import process
from zeroair_pl.resources import importing

MEASURE = """
import resource
from zeroair_pl.cli import process
if {prepared}:
    assert process.prepare()
import os
import numpy as np
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(os.environ.get("OMP_WAIT_POLICY"), faults())
"""


def glibc() -> bool:
    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not glibc(), reason="mallopt is glibc's")
def test_freed_memory_is_used_again_without_asking_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(prepared=True)], capture_output=True, text=True, check=True
    )
    policy, faults = done.stdout.split()
    assert policy == "PASSIVE"
    assert int(faults) < 100, "64 MiB are 16384 pages"


def test_a_user_who_tunes_malloc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert process.prepare() is False
    import os

    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_nothing_is_collected_while_libraries_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: kept.append(gc.isenabled()))
    with importing():
        assert gc.isenabled(), "torch is there already"
    assert kept == []
    monkeypatch.delitem(sys.modules, "torch")
    with importing():
        assert not gc.isenabled()
    assert kept == [True]
