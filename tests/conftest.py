"""For all tests: no network, one thread's worth of work."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

# Set before any library looks: a test that needs a download is a mistake, and must fail at once instead of waiting.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several test processes
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script that the test names, imported as a module of its own; scripts import what lies beside them.

    Benchmarks write their numbers to ``tmp_path / "results"``.
    """
    path = Path(__file__).parents[1] / request.param
    monkeypatch.syspath_prepend(str(path.parent))
    name = f"script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if machine := getattr(module, "machine", None):
        monkeypatch.setattr(machine, "RESULTS", tmp_path / "results")
    yield module
    del sys.modules[name]
