"""Supported Python versions: all files state the same ones, and pip finds the requirements for each."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
VERSIONS = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def test_all_places_name_the_same_versions() -> None:
    oldest = VERSIONS[0]
    minors = [int(version.partition(".")[2]) for version in VERSIONS]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert PROJECT["requires-python"] == f">={oldest}"
    assert SETTINGS["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert SETTINGS["tool"]["mypy"]["python_version"] == oldest
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {VERSIONS[0]}–{VERSIONS[-1]}, pip and make" in readme
    assert f"Python {', '.join(VERSIONS[:-1])} or {VERSIONS[-1]}." in (ROOT / "docs/index.md").read_text("utf-8")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert re.findall(r"python(3\.\d+)", script) == VERSIONS
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in script
    assert f"no Python of version {oldest} or later" in script


def resolve(version: str, *requirements: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Asks pip for wheels that a Python of this version could install; nothing is installed."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--retries=0", "--target=nowhere", "--only-binary=:all:"]
    return subprocess.run(
        [*command, f"--python-version={version}", *requirements], capture_output=True, text=True, timeout=seconds
    )


@cache
def no_index() -> str:
    """Why no package index can be reached, or ``""``."""
    try:
        done = resolve(VERSIONS[0], "packaging", seconds=60)
    except subprocess.TimeoutExpired:
        return "the package index does not answer within a minute"
    return "" if done.returncode == 0 else f"no package index can be asked: {done.stderr.strip()[-200:]}"


@pytest.mark.slow
@pytest.mark.parametrize("version", dict.fromkeys([VERSIONS[0], VERSIONS[-1]]))
def test_every_requirement_has_a_release_for_that_python(version: str, tmp_path: Path) -> None:
    """One by one, without what they require in turn: the resolver would load gigabytes to know that."""
    if why := no_index():
        pytest.skip(why)
    extras = {name: needs for name, needs in PROJECT["optional-dependencies"].items() if name != "test"}
    needs = [*PROJECT["dependencies"], *(need for each in extras.values() for need in each)]
    try:
        done = resolve(version, "--no-deps", *needs, seconds=240)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index takes more than four minutes")
    assert done.returncode == 0, done.stderr
