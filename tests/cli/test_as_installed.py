"""After an installation with pip, no message names files that only a checkout has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zeroair_pl
from helpers.command import save_toy
from zeroair_pl.config.commands import COMMANDS as KNOWN

PACKAGE = Path(zeroair_pl.__file__).parent
ROOT = PACKAGE.parent
ONLY_IN_A_CHECKOUT = re.compile(r"cli\.py|\bexamples/|\bbenchmarks/|\bconfigs/|\btests/|Makefile")
COMMANDS = [
    "", "--help", "prior", "plugins", "restore --help", "evaluate --help", "redo --help", "plugins list --help",
    "plugins check --help", "prior train --help", "prior convert --help", "prior fetch --help", "prior list --help",
    "prior info --help", "prior sample --help", "prior list", "prior info small", "prior info adm-256x256-uncond",
    "plugins list", "restore --degradation.help Haze", "restore", "restore --config auto", "restore --config dehaze",
    "restore --config low_light --config fast", "restore --config denoise --images nowhere.jpg",
    "restore --config paper/dehaze", "restore --config dehze", "restore -o x", "restore --verbose", "rstore",
    "restore --help-all", "help restore", "doctor", "completion bash",
    "restore --config auto --print_config", "evaluate", "evaluate --config dehaze", "evaluate --results nowhere",
    "prior train", "prior train --config prior/small", "prior train --config prior/tiny --data.photos nowhere",
    "prior info nowhere", "prior sample --prior.path nowhere", "plugins check Nothing", "redo nowhere x --kind haze",
    "redo", "restore --config denoise --images photo.png --out out --sampling.steps 2", "redo out photo --kind rain",
]  # fmt: skip
PROGRAM = """
import shlex, sys
from zeroair_pl.cli import main
sys.argv[0] = "/usr/local/bin/zeroair"
for line in sys.stdin.read().splitlines():
    print(f"\\n$ zeroair {line}", flush=True)
    main(shlex.split(line))
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel, in a folder of their own."""
    folder = tmp_path_factory.mktemp("site")
    package = folder / "zeroair_pl"
    package.mkdir()
    for path in PACKAGE.iterdir():
        if path.name not in ("__pycache__", "_shipped"):
            (package / path.name).symlink_to(path)
    (package / "_shipped").mkdir()
    for name in ("configs", "plugins"):
        (package / "_shipped" / name).symlink_to(ROOT / name)
    return folder


def said(site: Path, folder: Path, commands: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "ZEROAIR_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="\n".join(commands), cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.slow
def test_nobody_is_sent_to_files_that_are_not_there(site: Path, tmp_path: Path) -> None:
    save_toy(tmp_path / "photo.png")
    text = said(site, tmp_path, COMMANDS)
    assert "Traceback" not in text
    assert [line for line in text.splitlines() if ONLY_IN_A_CHECKOUT.search(line)] == []
    answers = dict(part.partition("\n")[::2] for part in text.split("\n$ zeroair ")[1:])
    assert answers["restore --config dehaze"].startswith("error: No images are named."), "the examples are not here"
    assert "1 restored" in answers["restore --config denoise --images photo.png --out out --sampling.steps 2"]
    for line in re.findall(r"zeroair (?:[a-z]+ )+", text):  # what is named is a command
        assert line.split()[1] in ("help", *(name.split()[0] for name in KNOWN)), line


def test_what_comes_with_the_package_says_nothing_of_a_checkout() -> None:
    """Configs and plugins are read by people too, and so are the docstrings of public things."""
    files = [*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "plugins").glob("*.py"), *PACKAGE.rglob("*.py")]
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"python cli\.py|\bexamples/\d|benchmarks/", line)
    ]
    assert [line for line in lines if "errors.py" not in line and "cli/__init__.py" not in line] == []


def test_the_documentation_names_the_program_by_one_name() -> None:
    """Apart from one line, which says that ``cli.py`` does the same in a checkout."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines() if "cli.py" in line]
    assert lines == ["`python cli.py` does the same."]
