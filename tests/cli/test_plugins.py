"""Plugins: found by class wherever they are, listed, usable by name; a broken one does not stop the others."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import zeroair_pl
from helpers.command import TOY, run, save_toy
from zeroair_pl import plugins
from zeroair_pl.errors import ConfigError

_number = count(1)

FAMILY = '''
    from torch import Tensor
    from zeroair_pl import Degradation

    class {name}(Degradation):
        """Halves the light of each photo, for tests.

        Args:
            gain: what is left of it.
        """

        pointwise = True

        def __init__(self, gain: float = 0.5) -> None:
            super().__init__()
            self.gain = gain

        def forward(self, x: Tensor) -> Tensor:
            return self.gain * x

        def invert(self, y: Tensor) -> Tensor:
            return y / self.gain
'''


@pytest.fixture
def write() -> Callable[..., str]:
    """Writes a plugin file and returns the name of its class: a new one for every call, as a process keeps them all."""

    def write(folder: Path, text: str = FAMILY, stem: str = "") -> str:
        name = f"Family{next(_number)}"
        folder.mkdir(parents=True, exist_ok=True)
        content = textwrap.dedent(text).replace("{name}", name).lstrip("\n")
        (folder / f"{stem or name.lower()}.py").write_text(content)
        return name

    return write


def degradation(*words: str | Path) -> dict[str, object]:
    outcome = run("restore", *words, "--print_config")
    assert outcome.status == 0, outcome.err
    return yaml.safe_load(outcome.out)["degradation"]


def test_a_file_in_the_working_folder_is_found_listed_and_used(folder: Path, write: Callable[..., str]) -> None:
    name = write(folder / "plugins")
    listed = run("plugins", "list")
    assert listed.status == 0
    block = listed.out.partition(f"  {name}  ")[2].partition("\n\n")[0]
    assert f"[family, plugins/{name.lower()}.py]" in block
    assert "Halves the light of each photo, for tests" in block
    assert "gain = 0.5" in block
    photo = save_toy(folder / "a.png")
    outcome = run(
        "restore", "--degradation", name, "--degradation.gain", "0.8", "--images", photo, "--out", "out", *TOY
    )
    assert outcome.status == 0, outcome.err
    resolved = yaml.safe_load((folder / "out/config.yaml").read_text())
    assert resolved["degradation"] == {"class_path": name, "init_args": {"gain": 0.8}}


@pytest.mark.parametrize("by", ["option", "config", "variable"])
def test_further_folders_can_be_named(
    folder: Path, write: Callable[..., str], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write(folder / "mine")
    words = ["--degradation", name]
    if by == "option":
        words += ["--plugins", "mine"]
    elif by == "config":
        (folder / "a.yaml").write_text("plugins: [mine]")
        words += ["--config", "a"]
    else:
        monkeypatch.setenv("ZEROAIR_RESTORE__PLUGINS", "mine")
    assert degradation(*words)["class_path"] == name


def test_a_folder_that_does_not_exist_is_refused(folder: Path) -> None:
    (folder / "mine").mkdir()
    with pytest.raises(ConfigError, match=r"'min' is not a folder\. Did you mean 'mine'\?"):
        plugins.load_plugins(["min"])


@pytest.mark.parametrize(
    "text, line, reason",
    [
        ("x = 1\nclass {name}(:\n    pass\n", 2, "SyntaxError"),
        ("# one\n\nimport nowhere_to_be_found\nclass {name}: ...\n", 3, "ModuleNotFoundError"),
        ("def broken():\n    return 1 / 0\n\nclass {name}: ...\n\nbroken()\n", 2, "ZeroDivisionError"),
        ("import sys\nclass {name}: ...\nsys.exit(3)\n", 3, "SystemExit"),
        ("import re\nclass {name}: ...\nre.compile('[')\n", 3, "error"),
    ],
)
def test_a_broken_plugin_is_reported_by_file_and_line_and_stops_nothing_else(
    folder: Path, write: Callable[..., str], text: str, line: int, reason: str
) -> None:
    bad = write(folder / "plugins", text)
    good = write(folder / "plugins")
    listed = run("plugins", "list")
    assert listed.status == 0
    assert f"  {good}  " in listed.out
    (warning,) = listed.err.strip().splitlines()
    assert warning.startswith(f"warning: plugin not loaded: plugins/{bad.lower()}.py:{line}: ")
    assert reason in warning
    outcome = run("restore", "--degradation", bad)
    assert outcome.status == 2
    assert f"no class '{bad}'" in outcome.err
    assert f"It is defined in a plugin that could not be loaded: plugins/{bad.lower()}.py:{line}" in outcome.err


def test_a_name_that_is_taken_is_refused_and_the_first_owner_keeps_it(folder: Path, write: Callable[..., str]) -> None:
    stem = f"taken{next(_number)}"
    write(folder / "plugins", FAMILY.replace("{name}", "Haze"), stem)
    outcome = run("restore", "--degradation", "Haze", "--print_config")
    assert outcome.status == 0
    assert "strength" in yaml.safe_load(outcome.out)["degradation"]["init_args"]
    assert f"plugins/{stem}.py:4: there is a class 'Haze' already" in outcome.err


def test_a_file_takes_the_place_of_those_of_its_name_in_later_folders(folder: Path, write: Callable[..., str]) -> None:
    stem = f"same{next(_number)}"
    first, second = write(folder / "mine", stem=stem), write(folder / "plugins", stem=stem)
    listed = run("plugins", "list", "--plugins", "mine")
    assert f"  {first}  " in listed.out
    assert second not in listed.out
    assert not listed.err


def test_files_that_begin_with_an_underscore_are_left_alone(folder: Path, write: Callable[..., str]) -> None:
    write(folder / "plugins", "raise RuntimeError", stem="_helpers")
    assert not run("plugins", "list").err


def test_each_file_is_loaded_once(folder: Path, write: Callable[..., str]) -> None:
    text = "from pathlib import Path\nwith Path('count.txt').open('a') as file:\n    file.write('x')\n"
    write(folder / "plugins", text)
    (folder / "link").symlink_to(folder / "plugins")
    for _ in range(2):
        assert plugins.load_plugins(["link"]) == []
    assert (folder / "count.txt").read_text() == "x"


def test_entry_points_of_installed_packages_are_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    good = SimpleNamespace(name="good", value=f"good{next(_number)}", load=lambda: loaded.append(1))
    bad = SimpleNamespace(name="bad", value=f"bad{next(_number)}", load=lambda: [][1])
    monkeypatch.setattr(plugins, "entry_points", lambda group: [bad, good] if group == "zeroair_pl.plugins" else [])
    for _ in range(2):
        (problem,) = plugins.load_plugins()
        assert str(problem).startswith(f"entry point bad ({bad.value}): IndexError")
        assert "test_plugins.py" in str(problem)
    assert loaded == [1], "once in a process"


def test_the_shipped_plugins_are_found_from_anywhere(folder: Path) -> None:
    listed = run("plugins", "list")
    assert "  ColorCast  [family, " in listed.out
    assert "  Charbonnier  [loss, " in listed.out
    assert "  Haze  [family, built in]" in listed.out
    names = [line.split()[0] for line in listed.out.splitlines() if line.startswith("  ") and line[2] != " "]
    assert len(names) == len(set(names))


def test_a_plugin_that_keeps_its_contract_passes(folder: Path, write: Callable[..., str]) -> None:
    name = write(folder / "mine")
    outcome = run("plugins", "check", f"mine/{name.lower()}.py")
    assert outcome.status == 0, outcome.out
    lines = outcome.out.splitlines()
    assert lines[0] == f"{name}  [family]"
    assert all(line.startswith("  ok ") for line in lines[1:-1])
    assert lines[-1] == f"{len(lines) - 2} passed, 0 failed"


@pytest.mark.parametrize(
    "change, said",
    [
        (("self.gain * x", "self.gain * x.flip(-1)"), "FAILED  pointwise, batched.*: says pointwise = True"),
        (("y / self.gain", "y"), r"FAILED  invert undoes forward.*: invert\(forward\(x\)\) differs from x by 0\."),
        (("self.gain * x", "self.gain * x[..., :-1]"), r"FAILED  forward keeps the shape.*\(1, 3, 16, 15\)"),
        (("return self.gain * x", "return self.nothing"), r"FAILED  forward keeps.*AttributeError.*\.py:\d+\)"),
        (("gain: what is left of it.", "something."), "FAILED  has a docstring.*without a word in the docstring: "),
    ],
    ids=["blur", "inverse", "shape", "error", "docstring"],
)  # fmt: skip
def test_a_broken_promise_is_named(folder: Path, write: Callable[..., str], change: tuple[str, str], said: str) -> None:
    name = write(folder / "mine", FAMILY.replace(*change))
    outcome = run("plugins", "check", f"mine/{name.lower()}.py")
    assert outcome.status == 1
    assert re.search(said, outcome.out), outcome.out
    assert not outcome.err


def test_a_plugin_is_checked_by_its_name_too(folder: Path) -> None:
    outcome = run("plugins", "check", "Charbonnier")
    assert outcome.status == 0, outcome.out
    assert outcome.out.startswith("Charbonnier  [loss]")


def test_what_is_no_plugin_cannot_be_checked(folder: Path, write: Callable[..., str]) -> None:
    assert "Did you mean 'Charbonnier'?" in run("plugins", "check", "Charbonier").error
    assert "there is no such file" in run("plugins", "check", "absent.py").error
    bad = write(folder / "mine", "class {name}(:\n")
    assert (
        f"plugin not loaded: mine/{bad.lower()}.py:1: SyntaxError"
        in run("plugins", "check", f"mine/{bad.lower()}.py").error
    )
    none = write(folder / "mine", "x = 1\n")
    assert (
        "defines no degradation, loss, update, sampler, prior or adaptation"
        in run("plugins", "check", f"mine/{none.lower()}.py").error
    )


def test_updates_and_priors_are_listed(folder: Path) -> None:
    listed = run("plugins", "list").out
    assert "  ProximalUpdate  [update, built in]" in listed
    assert "  AnnealedSampler  [sampler, built in]" in listed
    assert "  UNetPrior  [prior, built in]" in listed
    assert "  CosinePrior  [prior, " in listed
    assert "_Blurring" not in listed, "a stand-in for checks"


def test_a_class_of_a_script_or_notebook_can_be_given_as_such(folder: Path) -> None:
    save_toy(folder / "a.png")
    settings = {
        "sampling": {"steps": 2},
        "tensorboard": False,
        "strips": False,
        "prior": {"class_path": "helpers.toys.ToyPrior"},
        "guidance": {"update": "ProximalUpdate"},
    }
    results = zeroair_pl.restore("a.png", [], degradation=OfAScript, out=Path("out"), **settings)
    assert [row.status for row in results.rows] == ["restored"]
    assert "class_path: test_plugins.OfAScript" in (folder / "out/config.yaml").read_text()


class OfAScript(zeroair_pl.Degradation):
    """A family that no plugin folder holds."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return 0.9 * x
