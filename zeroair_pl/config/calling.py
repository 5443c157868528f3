"""Turns layers of settings into the arguments of a typed function, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroair_pl.config.files import Layer, find_config, read_config
from zeroair_pl.errors import ConfigError, ZeroAIRError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


Config = str | Path | Mapping[str, Any]
Configs = Config | Sequence[Config]

OWN = ("resolved", "choices")  # arguments of a command's function that are not settings
PRINTING = ("json", "verbose", "explain", "dry_run", "preview")  # settings of ``restore`` that change no result
NOT_OF = {"evaluate": PRINTING}  # options of ``restore`` that it does not have


def layers_of(config: Configs) -> list[Layer]:
    """Reads configs as layers: a name, a path, a dict with the content of a config, or a list of these."""
    return [_layer(each) for each in (config if isinstance(config, list | tuple) else [config])]


@dataclass(frozen=True)
class Call:
    """The arguments for a typed function, checked, from configs and from settings in Python."""

    parser: ArgumentParser
    parsed: Namespace

    def values(self) -> dict[str, Any]:
        """The arguments, with all objects built; raises ConfigError if one cannot be."""
        return values_of(self.parser, self.parsed)

    def stated(self) -> dict[str, Any]:
        """The arguments as a config states them; no object is built."""
        from zeroair_pl.config.request import resolved

        return resolved(self.parsed)


def call_of(
    function: Callable[..., Any],
    config: Configs,
    settings: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    plugins: bool = True,
) -> Call:
    """Reads the arguments of a function from configs and from settings in Python, which may hold objects.

    Args:
        function: typed, with keyword arguments.
        config: layers of settings; later ones override earlier ones.
        settings: override the configs.
        defaults: of arguments that are objects, as a config states them.
        plugins: load the plugins first, so that their classes are known.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible.
    """
    from zeroair_pl.config.request import Request

    request = Request([*layers_of(config), Layer(Path("settings"), "", dict(settings or {}))], {}, [])
    if plugins:
        request.load_plugins()
    parser = parser_of(function, defaults or {})
    return Call(parser, request.parse(parser))


def parser_of(
    function: Callable[..., Any], defaults: Mapping[str, Any], program: str = "zeroair", positional: bool = False
) -> ArgumentParser:
    """A parser for the arguments of a typed function, whose docstring is the help.

    Args:
        defaults: of arguments that are objects, as a config states them.
        program: the name in its help.
        positional: ``True`` makes arguments without a default positional; ``False`` adds the option ``--config``.
    """
    from jsonargparse import ArgumentParser, set_parsing_settings

    # Classes inside ``trainer`` are built for each fit, and not here.
    set_parsing_settings(instantiate_subclass_spec_in_any=False)
    from zeroair_pl.config.readable import ReadableHelp

    usage = None if positional else f"{program} [options]"
    parser = ArgumentParser(
        prog=program, usage=usage, exit_on_error=False, allow_abbrev=False, formatter_class=ReadableHelp
    )
    if not positional:
        parser.add_argument("--config", action="config", help="Name or path of a config; may be given several times.")
    parser.add_function_arguments(function, as_positional=positional, skip={*OWN, *NOT_OF.get(function.__name__, ())})
    parser.set_defaults(dict(defaults))
    for action in parser._actions:
        action.required = action.required and action.dest not in defaults
    return parser


def values_of(parser: ArgumentParser, parsed: Namespace) -> dict[str, Any]:
    """The arguments, with all objects built; raises ConfigError if one cannot be."""
    try:
        values = vars(parser.instantiate(parsed))
    except ZeroAIRError:
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # the parser wraps the error of a class if there may be other types too
            cause = cause.__cause__
        if isinstance(cause, ZeroAIRError):
            raise cause from error
        text = " ".join(str(error).split())
        raise ConfigError(f"the settings cannot be used: {type(error).__name__}: {text}") from error
    values.pop("config", None)
    return values


def _layer(config: Any) -> Layer:
    if isinstance(config, Mapping):
        return Layer(Path("config"), "", dict(config))
    if not isinstance(config, str | Path):
        raise ConfigError(f"config: expected a name, a path or a dict, but got a {type(config).__name__}.")
    return read_config(find_config(str(config), "config"))
