"""The settings that a user gave to a command, in config files, environment variables and options."""

from __future__ import annotations

import re
from argparse import ArgumentError
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import yaml

from zeroair_pl import console
from zeroair_pl.config.files import Layer
from zeroair_pl.config.messages import REPLACED, explain, replaced
from zeroair_pl.config.objects import plain, usable
from zeroair_pl.config.words import chain, chained
from zeroair_pl.errors import ConfigError
from zeroair_pl.plugins import PACKAGE, Broken, load_plugins, options
from zeroair_pl.resources import diffusers

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

_NOTHING = object()
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass
class Request:
    """The settings that a user gave to a command. Options override environment variables, and these override configs.

    Attributes:
        layers: the configs; later ones override earlier ones.
        variables: the environment variables of the command, by name.
        options: as words for the parser.
        print_config: print the settings, and do nothing else.
        broken: plugins that could not be loaded.
    """

    layers: list[Layer]
    variables: dict[str, str]
    options: list[str]
    print_config: bool = False
    broken: list[Broken] = field(default_factory=list)

    def load_plugins(self) -> None:
        """Loads the plugins, so that the parser knows their classes, and warns about broken ones."""
        folders: Any = []
        for layer in self.layers:
            folders = layer.values.get("plugins", folders)
        for name, value in self.variables.items():
            folders = value if name.endswith("__PLUGINS") else folders
        for option in self.options:
            folders = yaml.safe_load(option.partition("=")[2]) if option.startswith("--plugins=") else folders
        folders = [folders] if isinstance(folders, str) else folders or []
        if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
            raise ConfigError(f"plugins: expected a list of folders, but got {folders!r}.")
        self.broken = load_plugins(folders)
        for problem in self.broken:
            console.tell(f"warning: plugin not loaded: {problem}")
        self._import_schedulers()

    def parse(self, parser: ArgumentParser) -> Namespace:
        """The settings as jsonargparse parses them, no object built yet; raises ConfigError for one that is wrong."""
        self._refuse_replaced()
        words = [f"--{self._key(name)}={value}" for name, value in self.variables.items()]
        try:
            layered = self._layered(parser)
            if layered is not None:  # before options replace a wrong group, which would hide the mistake
                self._check_groups(layered, parser)
            settings = parser.parse_args(chained([*words, *self.options], self._degradation()), namespace=layered)
        except ArgumentError as error:
            sentence, word = explain(str(error), parser)
            raise ConfigError(f"{self._place(word)}{sentence}{self._missing(word)}") from error
        self._check_groups(settings, parser)
        stated = {name: value for layer in self.layers for name, value in layer.values.items()}
        stated |= {word[2:].partition("=")[0]: word.partition("=")[2] for word in (*words, *self.options)}
        for name, value in stated.items():  # the parser takes a value that begins with "#" for a comment
            if isinstance(value, str) and value.startswith("#") and settings.get(name, "") is None:
                settings[name] = value
        return settings

    def _refuse_replaced(self) -> None:
        """Raises ConfigError for a setting of an earlier version, with the setting that replaces it."""
        for layer in self.layers:
            if found := replaced(layer.values):
                line = layer.line_of(found[0])
                raise ConfigError(f"{layer.path}:{line}: {found[1]}" if line else f"{layer.path}: {found[1]}")
        for word in [*self.options, *(f"--{self._key(name)}={value}" for name, value in self.variables.items())]:
            key = word.partition("=")[0].removeprefix("--")
            old = next((name for name in REPLACED if key == name or key.startswith(f"{name}.")), "")
            if old:
                raise ConfigError(f"--{old} is {REPLACED[old]}.")

    def _degradation(self) -> Any:
        """The degradation that the last layer with one states; ``None`` if there is none."""
        stated = [layer.values["degradation"] for layer in self.layers if layer.values.get("degradation")]
        return stated[-1] if stated else None

    def _layered(self, parser: ArgumentParser) -> Namespace | None:
        """The settings of the layers. Required settings may still be missing: variables and options follow."""
        settings: Namespace | None = None
        for layer in self.layers:
            values = usable(layer.values)  # a copy: the parser works in it
            if isinstance(links := values.get("degradation"), list):
                values["degradation"] = chain(links)
            settings = parser.parse_object(values, namespace=settings, _skip_validation=True, _skip_required=True)
        return settings

    def _check_groups(self, settings: Namespace, parser: ArgumentParser) -> None:
        """Raises ConfigError for a single value instead of a group such as ``sampling``; jsonargparse allows it."""
        dests = [action.dest for action in parser._actions if not action.dest.endswith(".help")]
        for group in sorted({dest.rpartition(".")[0] for dest in dests if "." in dest}):
            value = settings.get(group, _NOTHING)
            if value is not _NOTHING and not hasattr(value, "__dict__"):
                place = self._place(group.rpartition(".")[2])
                raise ConfigError(f"{place}{group}: expected 'key: value' lines, but got {value!r}.")

    def _key(self, variable: str) -> str:
        return variable.partition("__")[2].lower().replace("__", ".")

    def _place(self, word: str) -> str:
        """Where the user wrote ``word``: a variable, or file and line; empty for an option, which the user sees."""
        if not word or any(word in option for option in self.options):
            return ""
        for name, value in self.variables.items():
            if word == value or word.lstrip("-") == self._key(name) or word == self._key(name).rpartition(".")[2]:
                return f"{name}: "
        for layer in reversed(self.layers):
            if line := layer.line_of(word):
                return f"{layer.path}:{line}: "
        return ""

    def place_of(self, name: str, value: object) -> str:
        """Where the user gave the setting ``name`` a value that is out of its range.

        ``_place`` cannot tell this, since the same number may be the value of other settings too.
        """
        words = [option.partition("=")[0] for option in self.options]
        if any(word.startswith("--") and re.split(r"[.-]", word)[-1] == name for word in words):
            return ""
        for variable in self.variables:
            if self._key(variable).rpartition(".")[2] == name:
                return f"{variable}: "
        given = re.compile(rf"\b{re.escape(name)}\s*:\s*({_NUMBER})?")
        for layer in reversed(self.layers):
            for number, line in enumerate(layer.text.splitlines(), start=1):
                found = given.search(line.partition("#")[0])
                if found and (not isinstance(value, int | float) or float(found[1] or "nan") == value):
                    return f"{layer.path}:{number}: "
        return ""

    def _missing(self, word: str) -> str:
        """A sentence on the broken plugin that defines the class ``word``; empty if there is none."""
        for problem in self.broken:
            if problem.defines(word):
                return f" It is defined in a plugin that could not be loaded: {problem}"
        return ""

    def _import_schedulers(self) -> None:
        """Imports the diffusers schedulers that the settings name, since the parser finds only imported classes."""
        texts = [*(str(layer.values) for layer in self.layers), *self.variables.values(), *self.options]
        names = set(re.findall(r"\b\w+Scheduler\b", " ".join(texts)))
        if names:
            library = diffusers()
            for name in names:
                getattr(library, name, None)


def resolved(settings: Namespace) -> dict[str, Any]:
    """All settings as a config states them: each object by its class and options."""
    found: dict[str, Any] = _shortened(plain(settings))
    found.pop("config", None)
    return found


def _shortened(value: Any) -> Any:
    """Settings with class names without their modules, if a later run finds the class by its name.

    The name of a plugin's class must be shortened, since its module cannot be imported.
    """
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if not isinstance(value, dict):
        return value
    short = {key: _shortened(item) for key, item in value.items()}
    if isinstance(short.get("class_path"), str):
        package, name = value["class_path"].partition(".")[0], value["class_path"].rpartition(".")[2]
        if package in ("zeroair_pl", PACKAGE, "diffusers"):
            short["class_path"] = name
        if package == "diffusers":  # the prior decides most of a scheduler's options; keep only those that were changed
            defaults = options(_class(value["class_path"]))
            short["init_args"] = {k: v for k, v in short.get("init_args", {}).items() if v != defaults.get(k)}
        if not short.get("init_args"):
            short.pop("init_args", None)
    return short


def _class(path: str) -> type:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
