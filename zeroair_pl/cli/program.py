"""The command line: finds the command, its configs and its plugins, and turns mistakes into one clear line.

Heavy libraries are imported only after the command is known, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from zeroair_pl import console
from zeroair_pl.cli import help_pages, process
from zeroair_pl.config.commands import COMMANDS, prepare, read
from zeroair_pl.errors import ConfigError, ZeroAIRError, debug, did_you_mean, show, typed
from zeroair_pl.ranges import RangeError
from zeroair_pl.resources import importing


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    It is 0; 1 if a photo failed or the output could not be printed; 2 for a mistake in the settings; or 128 + n if the
    signal n ended the command.

    Args:
        argv: the words after the program's name; by default those of the command line.
    """
    process.open_streams()
    process.prepare()
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        with debug() if "--debug" in words else nullcontext(), console.warnings_as_lines():
            status = _run([word for word in words if word != "--debug"])
        status = status or _flushed()
        _settle_news()
        return status
    except BrokenPipeError:  # the reader of the output has ended, as in `| head`; all results are in files
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # as a shell reports SIGPIPE


def _flushed() -> int:
    """0; or 1 if standard output could not be written, for example to a full disk."""
    trouble = console.lost()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        trouble = trouble or error
    if trouble is None:
        return 0
    console.tell(f"error: standard output cannot be written ({trouble.strerror or trouble}).")
    return 1


def _settle_news() -> None:
    """Flushes standard error. If that fails, the rest is dropped; otherwise Python would end with status 120."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _run(words: list[str]) -> int:
    request = None
    try:
        name, words = _command(words)
        if not name:
            return 0
        if name in help_pages.PAGES and {"-h", "--help"} & set(words):
            print(help_pages.page(name), end="")
            return 0
        words = ["--help" if word in ("--help-all", "--help_all") else word for word in words]
        with importing():
            request = read(name, words, os.environ)
            function, values = prepare(name, request)
        with process.clean_stop():
            outcome = function(**values)
        return int(getattr(outcome, "exit_status", 0))
    except ZeroAIRError as error:
        show(error)
        place = request.place_of(error.name, error.value) if request and isinstance(error, RangeError) else ""
        print(f"error: {place}{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"stopped by {stop}" if str(stop) else "stopped", file=sys.stderr)
        return getattr(stop, "status", 130)
    except SystemExit as done:  # --help and --print_config
        return done.code if isinstance(done.code, int) else 0


def _command(words: list[str]) -> tuple[str, list[str]]:
    """The command's name and what follows it; no name if only help was asked for."""
    for name in COMMANDS:
        first = name.split()
        if words[: len(first)] == first:
            return name, words[len(first) :]
    if words[:1] == ["help"]:  # `zeroair help restore`, as with git
        return _command([*words[1:], "--help"])
    groups = {name.split()[0] for name in COMMANDS}
    if not words or words[0] in ("-h", "--help") or (words[0] in groups and words[1:2] in ([], ["-h"], ["--help"])):
        print(_overview(words[0] if words and words[0] in groups else ""))
        return "", []
    if words[0] in ("version", "--version"):
        from importlib.metadata import version

        print(version("zeroair-pl"))
        return "", []
    if os.path.lexists(words[0]) and words[0] not in groups:
        raise ConfigError(f"{words[0]!r} is no command; to restore it: {typed(f'restore {shlex.quote(words[0])}')}")
    given = " ".join(words[:2]) if words[0] in groups else words[0]
    raise ConfigError(f"there is no command {given!r}.{did_you_mean(given, COMMANDS)} Known: {', '.join(COMMANDS)}.")


def _overview(group: str) -> str:
    shown = {name: command.help for name, command in COMMANDS.items() if name.startswith(group)}
    width = max(map(len, shown))
    lines = [f"  {name:{width}}  {text}" for name, text in shown.items()]
    return "\n".join(
        [
            f"usage: {typed('COMMAND [options]')}",
            "",
            "Restores degraded photos with no training for the task: a frozen diffusion prior, and everything else",
            "learned from the one photo while it is being restored.",
            "",
            *lines,
            "",
            f"{typed('help COMMAND')} lists a command's options; --debug shows tracebacks of errors.",
            f"To begin: {typed('restore photo.jpg')}",
        ]
    )
