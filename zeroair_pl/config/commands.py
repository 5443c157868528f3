"""The commands, and how a command line becomes a function and its arguments."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroair_pl import console

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
        rest: the option in ``lists`` that takes these words without the first, which stays positional; or ``""``.
    """

    function: str
    help: str
    lists: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    configs: bool = False
    free: str = ""
    rest: str = ""


COMMANDS = {
    "restore": Command(
        "zeroair_pl.commands.restore:restore",
        "restore photos (the main job)",
        lists=("images", "plugins"),
        flags=(
            "overwrite",
            "save_maps",
            "strips",
            "report",
            "tensorboard",
            "quiet",
            *("json", "verbose", "explain", "dry_run", "preview"),
        ),
        configs=True,
        free="images",
    ),
    "redo": Command(
        "zeroair_pl.commands.redo:redo",
        "restore photos of an output folder once more, as another kind or less strongly; the choice lasts",
        lists=("names", "plugins"),
        rest="names",
    ),
    "app": Command(
        "zeroair_pl.commands.app:app",
        "open a page in the browser, in the place of the command line",
        lists=("layers",),
        flags=("open",),
    ),
    "evaluate": Command(
        "zeroair_pl.commands.evaluate:evaluate",
        "score results against references, or restore photos and score that",
        lists=("results", "images", "references", "seeds", "plugins"),
        flags=("overwrite", "save_maps", "strips", "report", "tensorboard", "quiet"),
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
    """The request to the command ``name``.

    Args:
        name: in ``COMMANDS``.
        words: of the command line after the name.
        environ: environment variables.

    Raises:
        ConfigError: an option has no value, or a config cannot be read.
    """
    from zeroair_pl.config.request import Request

    command = COMMANDS[name]
    words = _gathered(words, command.rest) if command.rest else words
    return Request.of(name, words, environ, command.lists, command.flags, command.configs, command.free)


def _gathered(words: Sequence[str], rest: str) -> list[str]:
    """``OUT a b --kind haze`` as ``OUT --kind haze --rest a b``."""
    own: list[str] = []
    free: list[str] = []
    queue = iter(words)
    for word in queue:
        if not word.startswith("--"):
            free.append(word)
            continue
        own.append(word)
        if "=" not in word and word != "--help" and (value := next(queue, None)) is not None:
            own.append(value)
    return [*free[:1], *own, *([f"--{rest}", *free[1:]] if free[1:] else [])]


def prepare(name: str, request: Request) -> tuple[Any, dict[str, Any]]:
    """The function of the command ``name`` and its arguments, ready to call.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible.
        SystemExit: help or the settings were asked for, and are printed.
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
