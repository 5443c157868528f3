"""Finds, reads and writes configs: YAML files that state the settings of a command."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import yaml

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.paths import at_home
from zeroair_pl.resources import shipped

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Layer:
    """One config; later layers override earlier ones, key by key. Errors name ``path`` and the line in ``text``."""

    path: Path
    text: str
    values: dict[str, Any]

    def line_of(self, word: str) -> int | None:
        """Number of the first line, from 1, that has ``word`` as a whole word; ``None`` if no line has it."""
        pattern = re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])")
        for number, line in enumerate(self.text.splitlines(), start=1):
            if pattern.search(line.split(" #")[0]):
                return number
        return None


def find_config(name: str, where: str = "--config") -> Path:
    """The file that the config ``name`` means, with or without its suffix; raises ConfigError if there is none.

    It is searched in the working folder, then in its ``configs/``, then among the configs of the package.

    Args:
        name: a name or a path.
        where: what the name was given to (an option, a variable, an argument in Python), for the error.
    """
    wanted = at_home(name)
    for folder in (Path(), *_folders()):
        for candidate in (wanted, *(wanted.with_name(wanted.name + suffix) for suffix in SUFFIXES)):
            try:
                if (path := folder / candidate).is_file():
                    return path
            except OSError as error:  # a folder that this user may not read
                raise ConfigError(f"{where} {name}: cannot be reached ({error.strerror or error}).") from error
    known = known_configs()
    near = did_you_mean(name, known) or did_you_mean(wanted.name, known)
    raise ConfigError(f"{where} {name}: there is no such file.{near} Known names: {', '.join(known)}.")


def read_config(path: Path) -> Layer:
    """Reads one file, as YAML 1.2; raises ConfigError if it holds something else than keys and values."""
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML, {error.problem}.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())}).") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected 'key: value' lines, but it holds a {type(values).__name__}.")
    for key in values:
        if not isinstance(key, str):
            raise ConfigError(f"{path}: {key!r} is not the name of a setting.")
    try:
        json.dumps(values, default=str)
    except ValueError as error:
        raise ConfigError(f"{path}: a part of it contains itself (an anchor & with its alias *).") from error
    if shipped("configs") in path.parents and not glob(str(values.get("images", ""))):
        values.pop("images", None)  # the example photos are only in a checkout
    return Layer(path, text, values)


def as_yaml(values: dict[str, Any]) -> str:
    """Settings as YAML that ``read_config`` reads again, with the keys in the order given."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)


def _folders() -> list[Path]:
    return [Path("configs"), shipped("configs")]


def known_configs() -> list[str]:
    """The names that ``--config`` knows: those in ``configs/`` of the working folder, and those of the package."""
    folders = [folder for folder in _folders() if folder.is_dir()]
    names = [path.relative_to(folder) for folder in folders for path in sorted(folder.rglob("*.yaml"))]
    return list(dict.fromkeys(name.with_suffix("").as_posix() for name in names))


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: ``on`` and ``no`` are words, ``1e-3`` is a number. A key given twice is an error."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes lists of numbers on one line."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        plain = all(isinstance(item, (int, float)) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain or flow_style)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
