"""Commands, their help, and tracebacks for those who ask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from helpers.command import TOY, run
from zeroair_pl.errors import typed

# --- commands and help


def test_the_package_is_a_program() -> None:
    words, root = [sys.executable, "-m", "zeroair_pl", "plugins", "--help"], Path(__file__).parents[2]
    assert "plugins list" in subprocess.run(words, capture_output=True, text=True, cwd=root, check=True).stdout


def test_a_reader_that_goes_away_is_no_crash() -> None:
    code = "import sys; sys.stdin.read(); from zeroair_pl.cli import main; sys.exit(main(['--help']))"
    program, root = [sys.executable, "-c", code], Path(__file__).parents[2]
    with subprocess.Popen(program, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=root) as running:
        assert running.stdout
        running.stdout.close()  # before it has begun to print
        _, error = running.communicate()
    assert running.returncode == 141
    assert error == b""


def test_a_command_lists_its_options() -> None:
    outcome = run("restore", "--help-all")
    assert outcome.status == 0
    for option in ("--images", "--out", "--seed", "--overwrite", "--config", "--print_config", "--sampling.steps"):
        assert option in outcome.out
    assert "required" not in outcome.out, "the prior is optional, since it has a default"
    assert "type: number or none" in " ".join(outcome.out.split())
    assert "Union[" not in outcome.out
    assert "default: null" not in outcome.out


def test_help_and_version_are_words_too() -> None:
    assert run("help") == run("--help")
    assert run("help", "plugins") == run("plugins", "--help")
    assert "--plugins" in run("help", "plugins", "list").out
    assert run("version") == run("--version")
    assert "Did you mean 'restore'?" in run("help", "restor").error


def test_the_options_of_a_class_can_be_asked_for() -> None:
    outcome = run("restore", "--degradation.help", "Haze")
    assert outcome.status == 0
    assert "--degradation.strength" in outcome.out


@pytest.mark.parametrize(
    "words, said",
    [
        (["restor"], "Did you mean 'restore'?"),
        (["plugins", "lst"], "Did you mean 'plugins list'?"),
        (["prior", "convrt"], "Did you mean 'prior convert'?"),
        (["--out", "x"], "there is no command '--out'"),
    ],
)
def test_unknown_commands(words: list[str], said: str) -> None:
    outcome = run(*words)
    assert outcome.status == 2
    assert said in outcome.error


@pytest.mark.parametrize(
    "option, nearest",
    [
        ("--image", "--images"),
        ("--overwrit", "--overwrite"),
        ("--steps", "--modeling.steps' or '--sampling.steps"),
        ("--wordy", None),  # two dashes in common with every option are no likeness
        ("-o", None),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest_one_if_any_is_near(option: str, nearest: str | None) -> None:
    outcome = run("restore", option, "x.jpg")
    assert outcome.status == 2
    assert f"unknown option '{option}'" in outcome.error
    assert (f"Did you mean '{nearest}'?" in outcome.error) if nearest else "Did you mean" not in outcome.error


@pytest.mark.parametrize(
    "script, command",
    [
        ("/usr/bin/zeroair", "zeroair prior list"),
        ("checkout/cli.py", "python cli.py prior list"),
        ("lib/zeroair_pl/__main__.py", "python -m zeroair_pl prior list"),
        ("their_script.py", "zeroair prior list"),
        ("lib/pytest/__main__.py", "zeroair prior list"),
    ],
)
def test_a_command_to_type_is_given_the_way_this_one_was_typed(
    script: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [script])
    assert typed("prior list") == command


def test_a_nested_command_reports_its_errors_in_one_line(folder: Path) -> None:
    outcome = run("prior", "convert", "absent.pt", "out")
    assert outcome.status == 2
    assert "absent.pt" in outcome.error
    assert not (folder / "out").exists()


# --- tracebacks


def test_debug_shows_where_an_error_comes_from(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    words = ["restore", "--images", "broken.png", "--out", "out", *TOY]
    assert "Traceback" not in run(*words).err
    shown = run(*words, "--debug")
    assert shown.status == 1
    assert "Traceback (most recent call last)" in shown.err
    assert "reading.py" in shown.err
    assert "[1/1] broken failed" in shown.err, "the line stays"
    wrong = run("--debug", "restore", "--config", "dehase")
    assert wrong.status == 2
    assert "find_config" in wrong.err
    assert "Traceback" not in run(*words).err, "one command has no effect on the next"
