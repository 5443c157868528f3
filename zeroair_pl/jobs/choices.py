"""Choices: settings that a person made for one photo, and that replace those of its folder.

A choice has a degradation, a strength or a mask. It is kept in the photo's record and holds for every later run into
that folder, until another choice is made. It comes from a column ``kind`` or ``strength`` of a list, from ``redo``, or
from a run that names single photos of the folder and another degradation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from zeroair_pl.config.calling import call_of
from zeroair_pl.config.files import as_yaml, find_config, read_config
from zeroair_pl.config.objects import made
from zeroair_pl.config.words import chain
from zeroair_pl.degradations import Degradation
from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.records import FINISHED, dependencies
from zeroair_pl.method.settings import Method
from zeroair_pl.method.shares import Strength, strength_in_words
from zeroair_pl.photos.source import Source
from zeroair_pl.plugins import classes
from zeroair_pl.ranges import nearest_share

MIXED = " + "  # joins the kinds of a mixture


@dataclass(frozen=True)
class Choice:
    """A photo's own settings.

    Attributes:
        degradation: as a config states it, ``{"class_path": "Haze", "init_args": {…}}``; ``None`` for the folder's.
        strength: share of the correction, 0 to 1, or one for each kind; ``None`` for the folder's.
        mask: a file or folder of masks that say where to work; ``None`` for the folder's.
    """

    degradation: dict[str, Any] | None = None
    strength: Strength | None = None
    mask: str | None = None

    def kept(self) -> dict[str, Any]:
        """The settings that are chosen, by name, as the record keeps them."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def over(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a run, where those that are chosen replace the folder's."""
        mine = self.kept()
        return {**settings, **mine, **({"degradation": stated(self.degradation)} if self.degradation else {})}

    def without(self, settings: Mapping[str, Any]) -> Choice:
        """The part of the choice that differs from the settings of a run."""
        kind, strength = self.degradation, self.strength
        if kind and settings.get("degradation") and stated(kind) == stated(settings["degradation"]):
            kind = None
        mask = None if self.mask == settings.get("mask") else self.mask
        folders = checked_strength(settings.get("strength", 1.0), "")
        return Choice(kind, None if strength == folders else strength, mask)

    def __str__(self) -> str:
        words = [kind_of(self.degradation)] if self.degradation else []
        words += [] if self.strength is None else [f"strength {strength_in_words(self.strength)}"]
        return ", ".join(words + ([] if self.mask is None else [f"mask {self.mask}"]))


def kind_of(degradation: Any) -> str:
    """The class that a config's ``degradation`` names, without its module; of a chain ``Haze + Jpeg``."""
    path = degradation.get("class_path", "") if isinstance(degradation, dict) else degradation
    name = str(path or "").rpartition(".")[2]
    links = (degradation.get("init_args") or {}).get("links") if isinstance(degradation, dict) else None
    return MIXED.join(map(kind_of, links)) if name == "Chain" and links else name


def same_kind(one: str, other: str) -> bool:
    """Whether two words mean one kind: ``low light``, ``LowLight`` and ``low_light`` do."""
    own, others = ("".join(filter(str.isalnum, word.casefold())) for word in (one, other))
    return own == others


def degradation_named(kind: str, where: str) -> dict[str, Any]:
    """The ``degradation`` that a word means, as a config states it.

    Args:
        kind: the name of a degradation class, in any spelling, or of a config such as ``dehaze``; or several of them
            in the order in which they happened, as ``LowLight + Noise`` or ``[LowLight, Noise]``: a chain.
        where: the flag or the row of a list that has the word, for the error.

    Raises:
        ConfigError: no class and no config has this name.
    """
    links = [part.strip() for part in kind.strip().removeprefix("[").removesuffix("]").replace("+", ",").split(",")]
    if len(links) > 1 and all(links):
        return chain([degradation_named(link, where) for link in links])
    if name := _family(kind):
        return {"class_path": name}
    try:
        found = read_config(find_config(kind)).values.get("degradation")
    except ConfigError:
        found = None
    if found:
        return dict(found) if isinstance(found, dict) else {"class_path": str(found)}
    raise _no_kind(f"{where}:", kind)


def _families() -> list[str]:
    """The degradations that can be chosen: all but those without a ``forward``."""
    return [name for name, cls in classes("family").items() if cls.forward is not Degradation.forward]  # type: ignore[attr-defined]


def _family(word: str) -> str | None:
    return next((name for name in _families() if same_kind(name, word)), None)


def _no_kind(begin: str, word: str) -> ConfigError:
    known = _families()
    return ConfigError(f"{begin} there is no kind {word!r}.{did_you_mean(word, known)} Known: {', '.join(known)}.")


def checked_strength(value: Any, where: str) -> Strength:
    """A strength: a number from 0 to 1, or one for each kind by its class, sorted by name.

    Args:
        value: a number; or ``{"Haze": 0.6, "Noise": 1}``; or one of these as text, ``"0.6"`` or ``"Haze=0.6,Noise=1"``.
        where: the flag or the row of a list that has it, for the error; may be empty.

    Raises:
        ConfigError: it is none of these, or names a kind that does not exist.
    """
    begin = f"{where}: " if where else ""
    if isinstance(value, str) and "=" in value:
        parts = [part.strip() for part in value.replace(";", ",").split(",") if part.strip()]
        if wrong := [part for part in parts if "=" not in part]:
            raise ConfigError(
                f"{begin}strength is {value}, and {wrong[0]!r} has no kind; expected KIND=NUMBER with a decimal point, "
                f"as in Haze=0.6,Noise=1."
            )
        value = dict(part.rpartition("=")[::2] for part in parts)
    if isinstance(value, Mapping):
        if not value:
            raise ConfigError(f"{begin}strength is empty, expected a number for each kind, as in Haze=0.6,Noise=1.")
        found = {}
        for word, each in value.items():
            if (name := _family(str(word))) is None:
                raise _no_kind(f"{begin}strength:", str(word))
            found[name] = _checked_number(each, f"{begin}strength of {name}")
        return dict(sorted(found.items()))
    return _checked_number(value, f"{begin}strength", ", or one for each kind, as in Haze=0.6,Noise=1")


def _checked_number(value: Any, what: str, more: str = "") -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ConfigError(
            f"{what} is {value}, expected a number from 0 (the photo) to 1 (all of it){more}.{nearest_share(value)}"
        )
    return number


@dataclass(frozen=True)
class Plan:
    """How photos with one choice are restored.

    Attributes:
        depends: what their results depend on; see ``records.dependencies``.
        resolved: all settings as YAML, for TensorBoard.
        strength: share of the correction, 0 to 1, or one for each kind.
    """

    method: Method
    depends: dict[str, Any]
    resolved: str
    strength: Strength = 1.0


class Plans:
    """The plans of a run: one for its settings, and one for each choice.

    Args:
        settings: of the run, by name; a plan depends only on those that can change a result.
        objects: the objects beside the degradation that take part in a fit.
    """

    def __init__(self, method: Method, settings: Mapping[str, Any], objects: list[object]) -> None:
        self._method, self._settings, self._objects = method, dict(settings), objects
        self._prior = method.prior.fingerprint()
        self._made: dict[str, Plan] = {}

    def of(self, choice: Choice) -> Plan:
        """The plan for photos with this choice, made once; raises ConfigError if its degradation cannot be built."""
        if (key := json.dumps(choice.kept(), sort_keys=True, default=str)) not in self._made:
            self._made[key] = self._make(choice)
        return self._made[key]

    def _make(self, choice: Choice) -> Plan:
        settings, method = choice.over(self._settings), self._method
        if choice.degradation is not None:
            method = replace(method, degradation=degradation_factory(choice.degradation))
        deciding = {key: value for key, value in settings.items() if key in Method.__dataclass_fields__}
        if deciding.get("upscale") == 1:  # the default has the same digest as no setting
            del deciding["upscale"]
        strength = checked_strength(settings.get("strength", 1.0), "")
        if strength != 1:
            deciding["strength"] = strength
        if "preview" in settings:
            deciding["preview"] = settings["preview"]
        depends = dependencies(deciding, self._prior, [built(method.fresh), *self._objects])
        return Plan(method, depends, as_yaml(settings) if settings else "", strength)


def choices_of(
    sources: Sequence[Source], outputs: Outputs, settings: Mapping[str, Any]
) -> tuple[dict[str, Choice], bool]:
    """The choices that a run makes, by the photo's name, and whether the run is a correction.

    A cell ``kind`` or ``strength`` of a list is a choice. A kind as which the photo was restored before is no choice,
    so that a ``results.csv`` can be edited and used as a list.

    A run is a correction if it names only single photos, the folder knows all of these and others too, and the run has
    another degradation, strength or mask than the folder. It then makes choices for these photos, and the settings of
    the folder stay. With the settings of the folder, such a run removes the choices of these photos.

    Raises:
        ConfigError: a cell cannot be understood.
    """
    chosen: dict[str, Choice] = {}
    for source in sources:
        if not (source.kind or source.strength):
            continue
        record = outputs.records.read(source.name)
        choice = Choice(**record.choice) if record is not None else Choice()
        where = f"the list's row of {source.path}"
        as_before = record is not None and record.row.status in FINISHED and same_kind(source.kind, record.row.kind)
        if source.kind and not as_before:
            choice = replace(choice, degradation=degradation_named(source.kind, where))
        if source.strength:
            choice = replace(choice, strength=checked_strength(source.strength, where))
        chosen[source.name] = choice.without(settings)
    folder = outputs.config()
    named = [source.name for source in sources if source.single and source.name in outputs.earlier]
    if not folder.get("degradation") or len(named) < len(sources) or len(named) == len(outputs.earlier):
        return chosen, False
    strength = settings.get("strength")
    strength = None if strength is None else checked_strength(strength, "")
    own = Choice(settings["degradation"], strength, settings.get("mask")).without(folder)
    return {name: own for name in named}, own != Choice()


def stated(degradation: Any) -> dict[str, Any]:
    """A config's ``degradation`` with all its options; raises ConfigError for an unknown class or option."""
    found: dict[str, Any] = call_of(_one, {"degradation": degradation}, plugins=False).stated()["degradation"]
    return found


def degradation_factory(degradation: Any) -> Callable[[], Degradation]:
    """A function that makes the degradation that a config states. It raises the same errors as ``stated``."""
    values = call_of(_one, {"degradation": degradation}, plugins=False).values()
    return cast("Callable[[], Degradation]", values["degradation"])


def _one(*, degradation: Callable[[], Degradation]) -> None:
    """The signature from which the parser reads the type of a ``degradation``."""


def built(factory: Callable[[], Degradation]) -> Degradation:
    """Builds one degradation, to check that the factory works; raises ConfigError if it does not."""
    phi: Degradation = made(factory)
    if type(phi).forward is Degradation.forward:
        raise ConfigError(f"degradation: {type(phi).__name__} has no forward(x); name one of 'plugins list'.")
    return phi
