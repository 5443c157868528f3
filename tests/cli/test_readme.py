"""What the documentation says can be done: its commands are parsed, its files are there, its plugins load."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
import yaml

from helpers.command import run, save_toy
from zeroair_pl.config.commands import prepare, read

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / "examples" / "photos" / "README.md"]
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)  # those of a list are indented


class Block(NamedTuple):
    """A fenced block: its page, its language, its text."""

    page: Path
    language: str
    text: str


BLOCKS = [
    Block(page, language, dedent(text))
    for page in PAGES
    for language, text in FENCE.findall(page.read_text(encoding="utf-8"))
]
LINES = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]


def words_of(line: str) -> tuple[dict[str, str], list[str]]:
    """Environment variables and words of a command, as a shell would take them."""
    words = shlex.split(line)
    variables = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, variables[name] = words.pop(0).partition("=")
    return variables, words


def ours(line: str) -> list[str]:
    """The words after the program, if the line runs it, be it through a launcher."""
    _, words = words_of(line)
    if words[:1] == ["srun"]:
        words = words[1:]
    if words[:1] == ["torchrun"]:
        return words[words.index("zeroair_pl") + 1 :]
    return words[1:] if words and Path(words[0]).name == "zeroair" else []


COMMANDS = list(dict.fromkeys(line for line in LINES if ours(line)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with every file that the documentation writes out in full."""
    for block in BLOCKS:
        if named := re.match(r"# (\S+\.(?:py|yaml))\n", block.text):
            path = tmp_path / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 15, "or the test below checks nothing"


def test_no_other_program_is_named() -> None:
    """A line with a program that these tests do not know would not be checked."""
    known = {"zeroair", "torchrun", "srun", "make", "python", "python3", "tensorboard", "lint-imports", ".", "docker"}
    named = {
        words_of(line)[1][0].rpartition("/")[2] for line in LINES if words_of(line)[1] and not line.startswith("#")
    }
    assert named <= known


def test_scripts_that_are_run_take_the_options_that_are_named() -> None:
    """Options of ``python SCRIPT --option`` are in the text of the script, or of a script beside or above it."""
    for line in LINES:
        _, words = words_of(line)
        if words[:1] == ["python"] and words[1].endswith(".py"):
            folders = (ROOT / words[1]).parents[:2]  # such as small_world/ and benchmarks/
            beside = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py"))
            assert [word for word in words[2:] if word.startswith("--") and f'"{word}"' not in beside] == [], line


@pytest.mark.parametrize("line", [line for line in COMMANDS if "my_plugins" not in line and "my_" not in line])
def test_a_command_is_understood(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, words = words_of(line)[0], ours(line)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if words[0] in ("restore", "evaluate") and not {"--help", "--degradation.help"} & set(words):
        words = [*words, *(["--print_config"] if "--print_config" not in words else [])]  # all but the work
    if words[:2] in (["prior", "fetch"], ["prior", "sample"]):  # all but the network, or the work
        name = " ".join(words[:2])
        at_hand = ["small" if word == "adm-256x256-uncond" else word for word in words[2:]]
        prepare(name, read(name, at_hand, os.environ))
        return
    if words[0] in ("redo", "app"):  # all but the folder, or the server
        prepare(words[0], read(words[0], words[1:], os.environ))
        return
    if words[:2] == ["prior", "train"]:
        words = [*words, "--print_config"]
    outcome = run(*words)
    if words[0] == "redo":  # the folder is not at hand
        assert outcome.error.startswith(f"{words[1]}: no output folder of restore")
    elif words[:2] == ["prior", "convert"]:  # the checkpoint is not at hand: it is what must be missed
        assert words[2] in outcome.error
    else:
        assert outcome.status == 0, outcome.err
        assert outcome.err == ""


@pytest.mark.slow
def test_plugins_of_the_documentation(folder: Path) -> None:
    """In a process of their own: a class, once defined, would be found by all later tests."""
    lines = [line for line in COMMANDS if "my_" in line]
    words = [[*ours(line), *(["--print_config"] if ours(line)[0] == "restore" else [])] for line in lines]
    assert any("GrayWorld" in block.text for block in BLOCKS)
    code = f"from zeroair_pl.cli import main\nfor words in {words!r}:\n    print(words, main(words))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for each in words:
        assert f"{each} 0" in done.stdout
    assert "Faded  [family, my_plugins/faded.py]" in done.stdout
    assert "class_path: GrayWorld" in done.stdout


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=lambda block: block.page.name
)
def test_python_is_python(block: Block) -> None:
    compile(block.text, block.page.name, "exec")


def test_other_blocks_are_well_formed() -> None:
    read: dict[str, Callable[[str], Any]] = {"yaml": yaml.safe_load, "toml": tomllib.loads, "json": json.loads}
    for block in BLOCKS:
        assert block.language in {"sh", "python", "bibtex", *read}, f"{block.page.name}: {block.language}"
        read.get(block.language, str)(block.text)


@pytest.mark.parametrize("page", ["README.md", "python.md"])
def test_python_runs(page: str, folder: Path) -> None:
    """On a small photo, with the shipped prior; what a comment says of a result is so."""
    for name in ("harbor", "pier"):
        save_toy(folder / "holiday" / f"{name}.jpg")
    for block in BLOCKS:
        if block.page.name == page and block.language == "python":
            exec(compile(block.text, page, "exec"), {"__name__": "documentation"})
    assert (folder / "clear" / "harbor.jpg").is_file()


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.name if page.parent != ROOT / "examples/photos" else "photos"
)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?://", target):
            file, _, anchor = target.partition("#")
            linked = (page.parent / file).resolve() if file else page
            assert linked.is_file(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(linked), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_files_in_commands_exist() -> None:
    named = {word for line in LINES for word in shlex.split(line) if word.endswith((".py", ".toml", ".txt"))}
    named |= {word for line in LINES for word in shlex.split(line) if word.startswith(("tests/", "examples/photos"))}
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"help", "demo", "test", "clean"} <= targets
    named = {words[1] for words in map(str.split, LINES) if words[:1] == ["make"]}
    assert {"demo", "test"} <= named <= targets
    shown = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert all(f"  {target} " in shown.stdout for target in targets)


def test_the_commands_spelled_out_are_those_that_make_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipes = {line.strip().removeprefix("@").removeprefix("PYTHONPATH=. ") for line in makefile.splitlines()}
    recipes = {re.sub("--quiet ", "", line).replace("$(PY)", "$(VENV)/bin/python") for line in recipes}
    spelled = [line.replace(".venv", "$(VENV)") for line in LINES if line.startswith(".venv/bin/")]
    assert len(spelled) > 7
    assert [line for line in spelled if line not in recipes] == []
    own = [line for line in recipes if line.startswith("$(VENV)/bin/") and not re.search("picture|docs|gpu", line)]
    assert [line for line in own if line not in spelled] == []


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^make test ", script.read_text(), re.MULTILINE)


def test_all_configs_are_in_the_documentation() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    configs = (path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml"))
    assert [name for name in (path.with_suffix("").as_posix() for path in configs) if f"`{name}`" not in settings] == []


def test_the_readme_is_one_screen_and_a_half() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110


def test_the_picture_is_small() -> None:
    assert 20_000 < (ROOT / "docs" / "images" / "before_after.jpg").stat().st_size < 300_000
