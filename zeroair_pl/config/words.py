"""The words of a command line in the form that jsonargparse understands."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import yaml

from zeroair_pl.errors import ConfigError

_FLAG_VALUES = ("true", "false", "npz", "crop")  # values that may follow a flag


def underscored(word: str) -> str:
    """``--checkpoint-every=5`` as ``--checkpoint_every=5``; both forms are allowed. Other words stay as they are."""
    option, equals, value = word.partition("=")
    return f"--{option[2:].replace('-', '_')}{equals}{value}" if word.startswith("--") else word


def joined(
    words: Sequence[str], lists: Sequence[str], flags: Sequence[str], free: str = "", first: int = 0
) -> list[str]:
    """The words in a form that jsonargparse understands.

    ``--images a b --images c`` becomes one option with a JSON list, so that shells may expand ``*.jpg``; ``--seed 3``
    becomes ``--seed=3``, and ``--overwrite`` ``--overwrite=true``. Words that follow no option, or an option that has
    its value, are values of the list ``free``; the ``first`` ones of them stay positional. So are all words after
    ``--``, also those that begin with a dash.

    Raises:
        ConfigError: ``--out`` or an option of a list has no value.
    """
    gathered: dict[str, list[str]] = {}
    rest: list[str] = []
    current, complete = "", True  # the list being read; whether the last option has its value
    ended = list(words).index("--") if free and "--" in words else len(words)
    for word, following in pairwise([*words[:ended], ""]):
        option, equals, value = word.partition("=")
        if not word.startswith("--"):
            if not current and not complete:
                rest[-1] += f"={word}"
                complete = True
                continue
            of_list = current or (free if not word.startswith("-") else "")
            if of_list and not current and first:
                of_list, first = "", first - 1
            (gathered.setdefault(of_list, []) if of_list else rest).append(word)
            continue
        current, complete = option[2:] if option[2:] in lists else "", bool(equals)
        if current:
            gathered.setdefault(current, []).extend([value] if equals else [])
        elif option == "--out" and not (value if equals else following):
            raise ConfigError("--out: expected a folder after it, but it is empty; '--out .' is this folder.")
        elif option[2:] in flags and not equals and following.lower() not in _FLAG_VALUES:
            rest.append(f"{word}=true")
            complete = True
        else:
            rest.append(word)
    positional, named = words[ended + 1 :][:first], words[ended + 1 :][first:]
    rest += positional
    if named:
        gathered.setdefault(free, []).extend(named)
    for option, values in gathered.items():
        if not values:
            raise ConfigError(f"--{option}: expected at least one value after it.")
        rest.append(f"--{option}={json.dumps(values)}")
    return rest


def chain(links: list[Any]) -> dict[str, Any]:
    """A list of degradations as one ``Chain``, as a config states it."""
    stated = [{"class_path": link} if isinstance(link, str) else link for link in links]
    return {"class_path": "Chain", "init_args": {"links": stated}}


def chained(options: Sequence[str], stated: Any = None) -> list[str]:
    """The options, with the ``Chain`` that ``--degradation=[Haze, Blur]`` means.

    ``--degradation.Blur.size=2`` becomes an option of the link ``Blur``, or of the degradation if that is a ``Blur``.

    Args:
        options: as ``joined`` returns them.
        stated: the degradation that the configs state, which the options change.

    Raises:
        ConfigError: the list cannot be read, or no link has the name.
    """
    own = [(word, parts) for word in options if (parts := _OF_A_LINK.fullmatch(word))]
    begin, rest = "--degradation=", [word for word in options if not _OF_A_LINK.fullmatch(word)]
    lists = [word for word in rest if word.startswith(f"{begin}[")]
    if not own and not lists:
        return rest
    given = [word.removeprefix(begin) for word in rest if word.startswith(begin)]
    found: Any = copy.deepcopy(_read(given[-1]) if given else stated)
    if isinstance(found, list):
        found = chain(found)
    found = found if isinstance(found, dict) else {"class_path": str(found or "Auto")}  # without one it is Auto
    links = (found.get("init_args") or {}).get("links") or [found]
    for word, of in own:
        kind, option, value = of.groups()
        meant = [each for each in links if isinstance(each, dict) and _name(each) == kind]
        if not meant:
            names = ", ".join(map(_name, links))
            raise ConfigError(f"{word.partition('=')[0]}: there is no {kind} in the degradation, which is {names}.")
        for each in meant:
            each["init_args"] = {**(each.get("init_args") or {}), option: yaml.safe_load(value)}
    return [f"{begin}{json.dumps(found)}", *(word for word in rest if not word.startswith(begin))]


_OF_A_LINK = re.compile(r"--degradation\.([A-Z]\w*)\.(\w+)=(.*)", re.DOTALL)


def _read(text: str) -> Any:
    """A degradation as an option states it: a name, a list, or an object."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--degradation {text}: cannot be read; expected a name, or a list such as [Haze, Blur]."
        ) from error


def _name(link: Any) -> str:
    return str(link.get("class_path", "") if isinstance(link, dict) else link).rpartition(".")[2]
