"""The command line: finds the command, its configs and its plugins, and turns mistakes into one clear line.

Nothing heavy is imported before it is known what to do, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroair_pl import runtime
from zeroair_pl.errors import ConfigError, ZeroAIRError, did_you_mean
from zeroair_pl.stopping import clean_stop

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from zeroair_pl.request import Request


@dataclass(frozen=True)
class Command:
    """A typed function behind one or two words of the command line.

    ``lists`` are the options that take several values and ``flags`` those that need none; a command with ``configs``
    reads YAML files and environment variables. All words after the first that belong to no option are values of the
    option ``rest``.
    """

    function: str
    help: str
    lists: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    configs: bool = False
    rest: str = ""


COMMANDS = {
    "restore": Command(
        "zeroair_pl.commands.restore:restore",
        "restore photos (the main job)",
        lists=("images", "plugins"),
        flags=("overwrite", "save_maps", "strips", "tensorboard"),
        configs=True,
    ),
    "redo": Command(
        "zeroair_pl.commands.redo:redo",
        "restore photos of an output folder once more, as another kind or less strongly; the choice lasts",
        lists=("names", "plugins"),
        rest="names",
    ),
    "evaluate": Command(
        "zeroair_pl.commands.evaluate:evaluate",
        "score results against references, or restore photos and score that",
        lists=("results", "images", "references", "seeds", "plugins"),
        flags=("overwrite", "save_maps", "strips", "tensorboard"),
        configs=True,
    ),
    "plugins list": Command(
        "zeroair_pl.commands.plugins:list_", "show all degradation families and guidance losses", ("plugins",)
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
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, 1 if a photo failed, 2 for a mistake in the settings, 128 + n if
    the signal n ended it."""
    runtime.prepare()
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read the output is gone, as in `| head`; what matters is in files
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # as a shell reports SIGPIPE


def _run(words: list[str]) -> int:
    try:
        name, words = _command(words)
        if not name:
            return 0
        function, values = prepare(name, read(name, words, os.environ))
        with clean_stop():
            outcome = function(**values)
        return int(getattr(outcome, "exit_status", 0))
    except ZeroAIRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"stopped by {stop}" if str(stop) else "stopped", file=sys.stderr)
        return getattr(stop, "status", 130)
    except SystemExit as done:  # --help and --print_config
        return done.code if isinstance(done.code, int) else 0


def read(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Request:
    """What these words and variables ask of the command ``name``."""
    from zeroair_pl.request import Request

    command = COMMANDS[name]
    words = _gathered(words, command.rest) if command.rest else words
    return Request.of(name, words, environ, command.lists, command.flags, command.configs)


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
    from zeroair_pl.request import resolved

    module, _, attribute = COMMANDS[name].function.partition(":")
    request.load_plugins()
    function = getattr(importlib.import_module(module), attribute)
    parser = _parser(name, function, getattr(sys.modules[module], "DEFAULTS", {}))
    settings = request.parse(parser)
    if not COMMANDS[name].configs:
        return function, vars(_built(parser, settings))
    text = resolved(parser, settings)
    if request.print_config:
        print(text, end="")
        raise SystemExit(0)
    values = vars(_built(parser, settings))
    del values["config"]
    return function, {**values, "resolved": text}


def _command(words: list[str]) -> tuple[str, list[str]]:
    """The command's name and what follows it; no name if only help was asked for."""
    for name in COMMANDS:
        first = name.split()
        if words[: len(first)] == first:
            return name, words[len(first) :]
    groups = {name.split()[0] for name in COMMANDS}
    if not words or words[0] in ("-h", "--help") or (words[0] in groups and words[1:2] in ([], ["-h"], ["--help"])):
        print(_overview(words[0] if words and words[0] in groups else ""))
        return "", []
    if words[0] == "--version":
        from importlib.metadata import version

        print(version("zeroair-pl"))
        return "", []
    typed = " ".join(words[:2]) if words[0] in groups else words[0]
    raise ConfigError(f"there is no command {typed!r}.{did_you_mean(typed, COMMANDS)} Known: {', '.join(COMMANDS)}.")


def _overview(group: str) -> str:
    shown = {name: command.help for name, command in COMMANDS.items() if name.startswith(group)}
    width = max(map(len, shown))
    lines = [f"  {name:{width}}  {text}" for name, text in shown.items()]
    return "\n".join(
        [
            "usage: python cli.py COMMAND [options]        (zeroair COMMAND, if installed)",
            "",
            "Restores degraded photos with no training for the task: a frozen diffusion prior, and everything else",
            "learned from the one photo while it is being restored.",
            "",
            *lines,
            "",
            "python cli.py COMMAND --help lists a command's options. To begin: python cli.py restore --config dehaze",
        ]
    )


def _parser(name: str, function: Any, defaults: dict[str, Any]) -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog=f"cli.py {name}", exit_on_error=False, allow_abbrev=False)
    if COMMANDS[name].configs:
        parser.add_argument("--config", action="config", help="Name or path of a config; may be given several times.")
    parser.add_function_arguments(function, as_positional=not COMMANDS[name].configs, skip={"resolved", "choices"})
    parser.set_defaults(defaults)
    for action in parser._actions:
        action.required = action.required and action.dest not in defaults
    return parser


def _built(parser: ArgumentParser, settings: Namespace) -> Namespace:
    try:
        return parser.instantiate(settings)
    except ZeroAIRError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"the settings cannot be used: {type(error).__name__}: {text}") from error
