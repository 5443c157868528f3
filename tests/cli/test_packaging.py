"""What is given to others: wheel and sdist, the container, the workflow, the citation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PARTS = ("zeroair_pl", "configs", "plugins", "pyproject.toml", "README.md", "PACKAGE.md", "LICENSE")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built from a copy without a network."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("source")
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", "dist", "."]
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "dist"


def test_wheel_and_sdist_are_complete(dist: Path) -> None:
    wheel = zipfile.ZipFile(next(dist.glob("*.whl"))).namelist()
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        source = sdist.getnames()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "zeroair_pl").rglob("*.py")}
    assert modules <= set(wheel)
    top = source[0].partition("/")[0]
    assert {f"{top}/{name}" for name in modules} <= set(source)
    for name in ("zeroair_pl/py.typed", "zeroair_pl/priors/bundled/small/prior.json"):
        assert name in wheel
        assert f"{top}/{name}" in source
    assert "zeroair_pl/_shipped/configs/auto.yaml" in wheel
    assert "zeroair_pl/_shipped/plugins/charbonnier.py" in wheel
    assert not [name for name in wheel if name.startswith(("tests", "examples", "benchmarks"))]


def test_an_index_takes_them(dist: Path) -> None:
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_an_index_shows() -> None:
    text = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [target for target in targets if not target.startswith("https://")] == [], (
        "relative links lead nowhere there"
    )
    assert PROJECT["authors"] == [{"name": "zeroair-pl developers"}]
    assert len(PROJECT["keywords"]) >= 5
    assert any(each.startswith("Topic :: Scientific/Engineering") for each in PROJECT["classifiers"])


def test_the_container_is_built_from_what_is_there() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    steps = [line.split() for line in lines if line and not line.startswith("#")]
    copied = [word.removeprefix("./") for words in steps if words[0] == "COPY" for word in words[1:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in kept
    assert {f"!{name}" for name in copied} <= set(kept), "or a COPY finds nothing"
    assert {Path(PROJECT["readme"]).name, *PROJECT["license-files"], "pyproject.toml"} <= set(copied)
    users = [i for i, words in enumerate(steps) if words[0] == "USER"]
    assert users
    assert steps[users[-1]][1] != "root"
    assert users[-1] < next(i for i, words in enumerate(steps) if words[0] == "ENTRYPOINT")
    used = set(re.findall(r"\$\{(\w+)\}", "\n".join(lines)))
    assert used == {words[1].partition("=")[0] for words in steps if words[0] == "ARG"}
    python = re.match(r"FROM python:(3\.\d+)-slim", "\n".join(" ".join(words) for words in steps))
    assert python
    assert f"Programming Language :: Python :: {python[1]}" in PROJECT["classifiers"]


def test_the_workflow_runs_the_test_command_of_the_readme() -> None:
    content = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    job = content["jobs"]["test"]
    known = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == [known[0], known[-1]]
    assert any(step.get("run", "").startswith("make test") for step in job["steps"])
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_citation_is_that_of_the_readme() -> None:
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(content)
    assert content["version"] == PROJECT["version"]
    assert content["license"] == PROJECT["license"]
    paper, readme = content["preferred-citation"], (ROOT / "README.md").read_text(encoding="utf-8")
    assert paper["title"] in readme
    assert all(author["family-names"] in readme for author in paper["authors"])
    assert paper["identifiers"][0]["value"].removeprefix("arXiv:") in readme
