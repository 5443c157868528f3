"""Types and defaults of settings in plain words, for ``--help-all``."""

from __future__ import annotations

import inspect
import types
from argparse import Action
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jsonargparse import DefaultHelpFormatter

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", type(None): "none"}


class ReadableHelp(DefaultHelpFormatter):
    """The parser's help, with ``number or none`` instead of ``Union[float, null]``."""

    def _get_type_str(self, action: Action) -> str | None:
        hint = getattr(action, "_typehint", None)
        return in_words(hint) if hint is not None else super()._get_type_str(action)

    def _expand_help(self, action: Action) -> str:
        return (
            super()._expand_help(action).replace("default: null", "default: none").replace(" (known subclasses", " (")
        )


def in_words(hint: Any) -> str:
    """A type in plain words.

    >>> in_words(list[str] | str | None)
    'list of text, text or none'
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Annotated:
        return in_words(args[0])
    if origin in (Union, types.UnionType):
        return _either([in_words(each) for each in args])
    if origin is Literal:
        return _either([repr(each) for each in args])
    if origin is list:
        return f"list of {in_words(args[0])}"
    if origin is tuple:
        return f"list of {in_words(args[0])}" if args else "list"
    if origin is dict or hint is dict:
        return "'key: value' lines"
    if origin is Callable and args:
        return in_words(args[-1])
    if inspect.isclass(hint):
        return f"name of a {hint.__name__}" if inspect.isabstract(hint) or hint.__subclasses__() else hint.__name__
    return str(hint).rpartition(".")[2]


def _either(words: list[str]) -> str:
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
