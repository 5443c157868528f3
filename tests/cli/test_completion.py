"""The completion of the shells, tested in a real bash."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.command import run
from zeroair_pl.config.commands import COMMANDS

Complete = Callable[..., set[str]]


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Complete:
    """The completions that bash offers for the last word of a command line."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    folder = tmp_path_factory.mktemp("completion")
    (folder / "photo.png").touch()
    outcome = run("completion", "bash")
    assert outcome.status == 0, outcome.err
    (folder / "script").write_text(outcome.out)

    def asked(*words: str) -> set[str]:
        line = shlex.join(["zeroair", *words])
        ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _zeroair; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        command = [bash, "--norc", "-c", f"source ./script; {ask}"]
        return set(subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True).stdout.split())

    return asked


def test_commands(complete: Complete) -> None:
    assert complete("re") == {"restore", "redo"}
    assert complete("prior", "") >= {"train", "fetch", "info"}
    assert {name.split()[0] for name in COMMANDS} <= complete("")


def test_options(complete: Complete) -> None:
    assert complete("restore", "--dry") == {"--dry-run"}
    assert "--sampling.steps" in complete("restore", "--sampling.st")
    assert "--photos" not in complete("restore", "--ph")
    assert "--data.photos" in complete("prior", "train", "--data.p")


def test_configs_and_kinds(complete: Complete) -> None:
    assert complete("restore", "--config", "deh") == {"dehaze"}
    assert "paper/dehaze" in complete("restore", "--config", "paper/")
    assert "LowLight" in complete("redo", "clear", "--kind", "Low")


def test_files(complete: Complete) -> None:
    assert complete("restore", "ph") == {"photo.png"}


def test_other_shells() -> None:
    zsh, fish = run("completion", "zsh").out, run("completion", "fish").out
    assert zsh.startswith("#compdef zeroair")
    assert "bashcompinit" in zsh
    assert "-l dry-run" in fish
    assert any("-l config -ra '" in line and " auto " in line for line in fish.splitlines())
    assert "expected one of 'bash', 'zsh', 'fish', but got 'tcsh'" in run("completion", "tcsh").error


def test_the_script_is_where_its_first_line_says(tmp_path: Path) -> None:
    assert "share/bash-completion/completions/zeroair" in run("completion", "bash").out.splitlines()[0]
