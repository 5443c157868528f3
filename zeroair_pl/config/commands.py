"""The commands, and how a command line becomes a function and its arguments."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroair_pl import console
from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from zeroair_pl.config.request import Request


@dataclass(frozen=True)
class Command:
    """A command: one or two words of the command line that call a typed function.

    Attributes:
        function: as ``module:name``.
        help: its line in the overview.
        lists: options that take several values.
        flags: options that need no value.
        configs: whether it reads YAML files and environment variables.
        free: the option in ``lists`` that takes the words that belong to no option; or ``""``.
        first: how many of these words stay positional.
    """

    function: str
    help: str
    lists: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    configs: bool = False
    free: str = ""
    first: int = 0


_FLAGS = ("overwrite", "save_maps", "strips", "report", "tensorboard", "quiet")

COMMANDS = {
    "restore": Command(
        "zeroair_pl.commands.restore:restore",
        "restore photos (the main job)",
        lists=("images", "plugins"),
        flags=(*_FLAGS, "json", "verbose", "explain", "dry_run", "preview"),
        configs=True,
        free="images",
    ),
    "redo": Command(
        "zeroair_pl.commands.redo:redo",
        "restore photos of an output folder once more, as another kind or less strongly; the choice lasts",
        lists=("names",),
        free="names",
        first=1,
    ),
    "app": Command(
        "zeroair_pl.commands.app:app",
        "open a page in the browser, for use without a command line",
        lists=("layers",),
        flags=("open",),
    ),
    "evaluate": Command(
        "zeroair_pl.commands.evaluate:evaluate",
        "score results against references, or restore photos and score that",
        lists=("results", "images", "references", "seeds", "plugins"),
        flags=_FLAGS,
        configs=True,
    ),
    "plugins list": Command(
        "zeroair_pl.commands.plugins:list_", "show all degradations, losses, updates and priors", ("plugins",)
    ),
    "plugins check": Command(
        "zeroair_pl.commands.plugins:check", "check that a plugin keeps the contract of its kind", ("plugins",)
    ),
    "prior train": Command(
        "zeroair_pl.commands.train:train",
        "make a prior from a folder of photographs",
        lists=("data.photos",),
        flags=("overwrite",),
        configs=True,
    ),
    "prior convert": Command(
        "zeroair_pl.commands.prior:convert", "turn an OpenAI ADM checkpoint into a folder that --prior.path takes"
    ),
    "prior fetch": Command(
        "zeroair_pl.commands.prior:fetch", "download a known prior and make it ready for --prior.path", flags=("keep",)
    ),
    "prior list": Command("zeroair_pl.commands.prior:list_", "show the priors that are here, and those to fetch"),
    "prior info": Command("zeroair_pl.commands.prior:info", "show what a prior is: network, schedule, sizes, errors"),
    "prior sample": Command("zeroair_pl.commands.prior_sample:sample", "draw images from a prior, from pure noise"),
    "doctor": Command(
        "zeroair_pl.commands.doctor:doctor",
        "check that this installation works: devices, extras, prior",
        flags=("json",),
    ),
    "completion": Command("zeroair_pl.commands.completion:completion", "print a script for bash, zsh or fish"),
}


def read(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Request:
    """The request to the command ``name`` by the words after it and by environment variables."""
    from zeroair_pl.config.files import find_config, read_config
    from zeroair_pl.config.request import Request
    from zeroair_pl.config.words import joined, underscored

    command = COMMANDS[name]
    variables: dict[str, str] = {}
    names: list[tuple[str, str]] = []  # of configs, each after what it was given to
    ended = list(words).index("--") if command.free and "--" in words else len(words)
    rest, files = [underscored(word) for word in words[:ended]], list(words[ended:])
    if command.configs:
        prefix = f"ZEROAIR_{name.upper().replace(' ', '_')}__"
        variables = {key: value for key, value in environ.items() if key.startswith(prefix)}
        names = [(f"{prefix}CONFIG", variables.pop(f"{prefix}CONFIG"))] if f"{prefix}CONFIG" in variables else []
        queue, rest = iter(rest), []
        for word in queue:
            option, equals, value = word.partition("=")
            if option != "--config":
                rest.append(word)
                continue
            value = value if equals else next(queue, "")
            if not value or value.startswith("--"):
                raise ConfigError("--config: expected the name of a config after it, for example --config dehaze.")
            names.append((option, value))
    rest += files
    shown = command.configs and "--print_config" in rest
    rest = [word for word in rest if not (shown and word == "--print_config")]
    layers = [read_config(find_config(value, where)) for where, value in names]
    return Request(layers, variables, joined(rest, command.lists, command.flags, command.free, command.first), shown)


def prepare(name: str, request: Request) -> tuple[Any, dict[str, Any]]:
    """The function of the command ``name`` and its arguments, ready to call.

    Raises ConfigError if a setting is impossible, and SystemExit after help or the settings were printed.
    """
    from zeroair_pl.config.calling import values_of
    from zeroair_pl.config.files import as_yaml
    from zeroair_pl.config.request import resolved

    request.load_plugins()
    function, parser = parser_for(name)
    configs = COMMANDS[name].configs
    settings = request.parse(parser)
    if not configs:
        return function, values_of(parser, settings)
    text = as_yaml(resolved(settings))
    if request.print_config:
        console.show(text, end="")
        raise SystemExit(0)
    return function, {**values_of(parser, settings), "resolved": text}


def parser_for(name: str) -> tuple[Any, ArgumentParser]:
    """The function of the command ``name``, and the parser of its arguments."""
    from zeroair_pl.config.calling import parser_of

    module, _, attribute = COMMANDS[name].function.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    configs = COMMANDS[name].configs
    defaults = getattr(sys.modules[module], "DEFAULTS", {}) if configs else {}
    return function, parser_of(function, defaults, f"zeroair {name}", not configs)
