"""Turns messages of the parser, which are long and about its types, into one sentence about the user's setting."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zeroair_pl.errors import did_you_mean
from zeroair_pl.resources import diffusers

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "'key: value' lines",
    "zeroair_pl.guidance.stages.StageWeights": "a number for each of I, II and III",
    "pathlib.Path": "a path",
}


# Settings that name a class.
_CLASSES = ("degradation", "links", "loss", "prior", "sampler", "scheduler", "update", "adapt")
_NOT_KEYS = ("config", "print_config", "print_shtab", "help")
_MANY = 60  # an error lists the known names if there are at most this many


def explain(message: str, parser: ArgumentParser) -> tuple[str, str]:
    """One sentence for a message of jsonargparse, and the user's word that caused it, or ``""``."""
    if found := _option_of_a_degradation(" ".join(message.split())):
        return found
    text = _without_union(" ".join(message.split()))
    keys = ".".join(re.findall(r'Parser key "([^"]+)"', text))
    where = f"{keys}: " if keys else ""
    if match := re.search(r"unrecognized arguments: (\S+)", text):
        return _unknown_option(match[1].partition("=")[0], parser)
    if match := re.search(r"Group '([^']+)' does not accept option '([^']+)'", text):
        group, _, word = f"{match[1]}.{match[2]}".rpartition(".")
        return _unknown_key(f"{group}: ", word, _below(group, parser), "")
    if match := re.search(r"argument (--\S+): expected one argument", text):
        return f"{match[1]}: expected a value after it.", match[1]
    if match := re.search(r"arguments are required: (.+?)\.?$", text):
        help_ = f" {parser.prog} --help explains it." if not where else ""
        return f"{where}{match[1]} {'are' if ', ' in match[1] else 'is'} missing.{help_}", keys.rpartition(".")[2]
    if match := re.search(r"Option '([^']+)' is not accepted", text):
        return _not_accepted(where, match[1], text, parser)
    if "Not of type Path" in text:
        return f"{where}expected a path.", keys.rpartition(".")[2]
    if match := re.search(r"Expected a dot import path string: (\S+?)\.?(?: |$)", text):
        return _unknown_class(where, match[1], keys)
    if match := re.search(r"(?:No module named|has no attribute|Expected) '([^']+)'( to be a subclass)?", text):
        given = re.search(r"Got value: (\S+)$", text)
        return _unknown_class(where, given[1] if given and not match[2] else match[1], keys)
    if match := re.search(r"Not a valid subclass of (\w+)\. Got value: (.+?) Subclass types", text):
        return f"{where}expected a {match[1]}, but got {match[2][:200]}.", match[2]
    if match := re.search(r"one of several: (.+)\. Got value: (.+)$", text):
        return f"{where}expected {match[1]}, but got {match[2]!r}.", match[2]
    if match := re.search(r"Expected (?:an? )?(.+?)\. Got value: (.+?)(?:\. Got value: .*)?$", text):
        return f"{where}expected {_expected(match[1])}, but got {match[2]!r}.", match[2]
    return f"{text.rstrip('.')}.", keys.rpartition(".")[2]


def _option_of_a_degradation(text: str) -> tuple[str, str] | None:
    """What ``explain`` returns for an option such as ``level: high``, whose type is ``number or none``.

    ``None`` for other messages. In these, the union of the option's types is inside that of the degradation's types.
    """
    outer, inside, inner = text.rpartition("Does not validate against any of the Union subtypes Subtypes: ")
    match = re.match(
        r"\[([^\]]*)\] Errors: .*? Given value type: \S+ \S+ Given value: (.*?)(?:\. Got value: |$)", inner
    )
    if not match or not inside or "expects a function or a callable class" not in outer:
        return None
    names = [_expected(kind) for kind in match[1].split(", ") if "NoneType" not in kind]
    where = ".".join(re.findall(r'Parser key "([^"]+)"', outer))
    return f"{where}: expected {' or '.join(names)}, but got {match[2]!r}.", match[2]


def _without_union(text: str) -> str:
    """The message for a setting that may have several types: that of the type the user meant, or a list of the types.

    Other messages are returned as they are.
    """
    pattern = r"(.*)Does not validate against any of the Union subtypes Subtypes: \[(.*)\] Errors: - (.*?)"
    match = re.match(pattern + r" Given value type: .*? Given value: (.*)$", text)
    if not match:
        return text
    head, kinds, complaints, value = match.groups()
    # The parser also tries a word as the name of a class where a number was expected. This message does not help.
    meant = r"is not accepted|Parser key|named '|attribute '|subclass of"
    meant += r"|path string" if re.search(rf'"(.*\.)?({"|".join(_CLASSES)})": $', head) else ""
    for complaint in complaints.split(" - "):
        if re.search(meant, complaint):
            return f"{head}{complaint}" if "Got value" in complaint else f"{head}{complaint}. Got value: {value}"
    names = [_expected(kind) for kind in re.split(r", (?![^\[]*\])", kinds) if "NoneType" not in kind]
    return f"{head}one of several: {' or '.join(names)}. Got value: {value}"


def known_classes(key: str) -> list[str]:
    """Names of the classes that the setting ``key``, such as ``loss``, can have; empty if it is no class."""
    from zeroair_pl import plugins

    kinds: dict[str, plugins.Kind] = {"degradation": "family", "links": "family", "adapt": "adaptation"}
    kinds |= {kind: kind for kind in plugins.KINDS if kind != "family"}
    if key in kinds:
        return sorted(plugins.classes(kinds[key]))
    if key == "scheduler":
        return [name for name in dir(diffusers()) if name.endswith("Scheduler") and not name.startswith("Flax")]
    return []


def options_of(class_path: str) -> list[str]:
    """Names of the arguments of a class's constructor; empty if the class cannot be imported."""
    module, _, name = class_path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
        return [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "args", "kwargs")]
    except (ImportError, AttributeError, TypeError, ValueError):
        return []


def _not_accepted(where: str, word: str, text: str, parser: ArgumentParser) -> tuple[str, str]:
    """The error for an unknown key: in the innermost class that the message names, or in the command itself."""
    before, _, after = text.partition("is not accepted")
    value = re.split(r"(?<=\)\))\. Got value: ", after)[0]  # that of the innermost class; those around it follow
    classes = re.findall(r"class_path[ =]'([^']+)'", before) or re.findall(r"class_path='([^']+)'", value)
    if not classes:
        return _unknown_key(where, word, _below("", parser), "")
    known = options_of(classes[-1])
    if word == "class_path":  # options beside the class's name instead of below it
        return f"{where}the options of a class go under 'init_args:', beside 'class_path:'.", word
    if did_you_mean(word, ("class_path", "init_args")):
        known = [*known, "class_path", "init_args"]
    return _unknown_key(where, word, known, classes[-1].rpartition(".")[2])


def _unknown_option(word: str, parser: ArgumentParser) -> tuple[str, str]:
    if not word.startswith("-"):
        return f"unexpected argument {word!r}; every setting is named, as in --images {word}.", word
    if os.path.lexists(word):  # from a shell's *.jpg, for example
        return f"unknown option {word!r}; a file of this name is written ./{word}, or stands after --.", word
    known = [option for action in parser._actions for option in action.option_strings]
    return f"unknown option {word!r}.{did_you_mean(word, known)}", word


def _unknown_key(where: str, word: str, known: Sequence[str], owner: str) -> tuple[str, str]:
    listed = f" Known: {', '.join(known)}." if 0 < len(known) <= _MANY else ""
    has = f"{owner} has no option" if owner else "there is no setting"
    return f"{where}{has} {word!r}.{did_you_mean(word, known)}{listed}", word


def _unknown_class(where: str, word: str, keys: str) -> tuple[str, str]:
    known = known_classes(keys.rpartition(".")[2])
    listed = f" Known: {', '.join(known)}." if 0 < len(known) <= _MANY else ""
    return f"{where}there is no class {word!r}.{did_you_mean(word.rpartition('.')[2], known)}{listed}", word


def _below(group: str, parser: ArgumentParser) -> list[str]:
    """The settings directly inside ``group``."""
    prefix = f"{group}." if group else ""
    names: Iterable[str] = (a.dest[len(prefix) :] for a in parser._actions if a.dest.startswith(prefix))
    return list(dict.fromkeys(name.partition(".")[0] for name in names if name and name not in _NOT_KEYS))


def _expected(kind: str) -> str:
    """A type, in words."""
    kind = re.sub(r"<class '([^']+)'>", r"\1", kind)
    if match := re.match(r"typing\.Literal\[(.+)\]$", kind):
        return f"one of {match[1]}"
    if "Callable" in kind or "import path" in kind:
        return "the name of a class"
    return _TYPES.get(kind.partition("[")[0], kind.rpartition(".")[2])


_SCHEDULER = "an option of SchedulerSampler now: sampling.sampler: {class_path: SchedulerSampler, init_args: {…}}"
REPLACED = {  # settings of earlier versions, and what to write instead
    "sampling.start": "sampling.sigma_max now, a noise level in [0, 1]: 0.15 of the schedule is 0.26, 1 is null",
    "sampling.end": "sampling.sigma_min now, a noise level in [0, 1]: 0.003 of the schedule is 0.0114, 0 is 0",
    "sampling.spacing": _SCHEDULER,
    "sampling.eta": _SCHEDULER,
    "sampling.scheduler": _SCHEDULER,
    "guidance.auxiliary": _SCHEDULER,
    "modelling": "modeling now, with the same settings; its regularisation is penalty",
}


def replaced(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first setting in a config that only earlier versions had, and a sentence on what to write instead."""
    for key, now in REPLACED.items():
        group, _, name = key.rpartition(".")
        part = values.get(group) if group else values
        if isinstance(part, Mapping) and name in part:
            return name, f"{key} is {now}."
    guidance = values.get("guidance")
    update = guidance.get("update") if isinstance(guidance, Mapping) else None
    if "AnchoredUpdate" in (update, update.get("class_path") if isinstance(update, Mapping) else None):
        return "AnchoredUpdate", "AnchoredUpdate is sampling.sampler: NoiseMatchedSampler now, and the default."
    return None
