"""The everyday help: a page without a library, which says what the parser says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import run
from zeroair_pl.cli.help_pages import PAGES, everyday_configs, page
from zeroair_pl.config.commands import parser_for
from zeroair_pl.config.readable import in_words
from zeroair_pl.degradations import Degradation

ROOT = Path(__file__).parents[2]
OWN = {"--help-all", "--print-config", "--degradation.help"}


@pytest.mark.parametrize("command", ["", *PAGES])
def test_a_page_needs_no_library(command: str) -> None:
    words = [command, "--help"] if command else ["--help"]
    code = (
        f"import sys; from zeroair_pl.cli import main; status = main({words}); "
        "heavy = {'torch', 'jsonargparse', 'lightning', 'yaml', 'numpy', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 115
    if not command:
        assert {"restore", "plugins list", "prior convert"} <= {line[2:17].strip() for line in lines}
        return
    assert done.stdout == run("help", command).out == run(command, "-h").out
    assert "Examples" in lines


@pytest.mark.parametrize("command", PAGES)
def test_the_page_says_what_the_parser_says(command: str) -> None:
    _, parser = parser_for(command)
    known = {word: action for action in parser._actions for word in action.option_strings}
    named = set(re.findall(r"--[a-z][\w.-]*", page(command)))
    assert {word for word in named - OWN if word.replace("-", "_").replace("__", "--") not in known} == set()
    for word, default in re.findall(r"^  (--\S+).*\(default: (.+?)\)$", page(command), re.MULTILINE):
        assert str(known[word].default) == default, word


def test_the_page_names_every_config() -> None:
    words = set(re.findall(r"\w+", page("restore")))
    assert set(everyday_configs()) <= words
    assert {"auto", "dehaze", "fast"} <= words


@pytest.mark.parametrize(
    "hint, words",
    [
        (list[str] | str | None, "list of text, text or none"),
        (float, "number"),
        (dict[str, int], "'key: value' lines"),
        (Degradation | None, "name of a Degradation or none"),
    ],
)
def test_types_in_words(hint: object, words: str) -> None:
    assert in_words(hint) == words
