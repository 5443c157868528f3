"""The kinds of degradation that the page offers, and for each the few numbers that have a slider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeroair_pl.config.files import find_config, read_config
from zeroair_pl.errors import ConfigError
from zeroair_pl.plugins import classes, load_plugins, options
from zeroair_pl.ranges import ranges_of
from zeroair_pl.resources import shipped


@dataclass(frozen=True)
class Control:
    """One argument of a family, and its slider.

    Attributes:
        name: of the argument.
        words: the slider's label, which says what it does.
        low, high, step, default: of the slider; the argument's own range and default where they are finite.
    """

    name: str
    words: str
    low: float
    high: float
    step: float
    default: float


@dataclass(frozen=True)
class Kind:
    """One entry of the menu of kinds.

    Attributes:
        name: of the config; of the family if there is no config.
        title: its text in the menu.
        hint: a sentence on what it does.
        controls: its sliders.
        needs_missing: it fills what a painted mask marks as missing.
    """

    name: str
    title: str
    hint: str
    controls: tuple[Control, ...] = ()
    needs_missing: bool = False

    def settings(self, values: Mapping[str, float]) -> dict[str, Any]:
        """Settings for ``Method.from_config`` on top of the config: the values that differ from their defaults.

        Args:
            values: of the sliders, by the argument's name.
        """
        own = {each.name: each for each in self.controls}
        changed = {name: value for name, value in values.items() if name in own and value != own[name].default}
        family, stated = _degradation(self.name)
        if not changed and _config(self.name):
            return {}
        # Sliders give floats; an argument such as a factor needs a whole number.
        numbers = {name: int(value) if isinstance(own[name].default, int) else value for name, value in changed.items()}
        return {"degradation": {"class_path": family, "init_args": {**stated, **numbers}}}


# For each family the arguments with a slider: name, label, and the end of the slider if it is not that of the range.
_SHOWN: dict[str, list[tuple[str, str, float | None]]] = {
    "Haze": [
        ("strength", "Haze to take away", None),
        ("sky_floor", "Sky to leave alone", None),
    ],
    "LowLight": [
        ("mean", "Brightness of a dark photo", None),
        ("flatten", "Evenness of the light", None),
    ],
    "Underwater": [
        ("veil", "Veil to take away", None),
        ("cast", "Color cast to take away", None),
    ],
    "Blur": [("size", "Width in pixels (0: found)", 12.0)],
    "Jpeg": [("quality", "Quality of the JPEG (0: found)", None)],
    "Downscaled": [("factor", "How many times as large", 4.0)],
}

_KINDS: tuple[tuple[str, str, str], ...] = (
    ("auto", "Find out by itself", "Haze, little light, water, noise, blur, rain, specks, JPEG. If unsure: little."),
    ("dehaze", "Haze, fog or smoke", "Takes away the veil that grows with the distance."),
    ("low_light", "Too little light", "Opens the shadows and calms the noise that comes with the dark."),
    ("denoise", "Noise", "Grain of a sensor or of a camera; its strength is found."),
    ("deblur", "Blur", "A lens out of focus or a soft one; its width is found."),
    ("deblur_free", "Blur of any form", "A shaken camera, for example. Takes long, and may be wrong."),
    ("dejpeg", "JPEG blocks and rings", "Of a file that was stored too small."),
    ("upscale", "Too few pixels", "A larger photo with what the missing pixels probably were."),
    ("inpaint", "Something is missing", "Fills what you paint with the brush."),
    ("despeckle", "Specks and scratches", "Found by themselves, and filled."),
    ("derain", "Rain or snow", "Streaks of rain and falling snow; their direction is found."),
    ("devignette", "Dark corners", "The falloff of a lens toward the corners."),
    ("unfade", "Faded, or too little contrast", "Black and white of an old print; they are found."),
    ("defringe", "Color fringes", "Red and blue edges towards the corners, of a lens; they are found."),
    ("deband", "Steps in smooth parts", "Of few bits or of raised contrast; the values that were left out are found."),
    ("underwater", "Under water", "Takes away the water's veil and its colors."),
)


def kinds() -> list[Kind]:
    """All kinds, ``auto`` first; kinds without a config or family are left out.

    A config of the package that is not in ``_KINDS`` is added, with its name as the title.
    """
    load_plugins()
    found, known = [], [name for name, _, _ in _KINDS]
    others = [path.stem for path in sorted(shipped("configs").glob("*.yaml")) if path.stem not in known]
    # A layer names no degradation, and a chain several.
    others = [name for name in others if isinstance(_config(name).get("degradation"), str | dict)]
    unnamed = [(name, name.replace("_", " ").capitalize(), _first_line(name)) for name in others]
    for name, title, hint in [*_KINDS, *unnamed]:
        if _config(name) or name in classes("family"):
            found.append(Kind(name, title, hint, _controls(name), name == "inpaint"))
    return found


def _degradation(name: str) -> tuple[str, dict[str, Any]]:
    """The class of degradations that a kind's config names, or the kind itself, and the arguments that it states."""
    stated = _config(name).get("degradation", name)
    if isinstance(stated, dict):
        return str(stated["class_path"]).rpartition(".")[2], dict(stated.get("init_args") or {})
    return str(stated).rpartition(".")[2], {}


def _first_line(name: str) -> str:
    return find_config(name).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _config(name: str) -> dict[str, Any]:
    try:
        return read_config(find_config(name)).values
    except ConfigError:
        return {}


def _controls(name: str) -> tuple[Control, ...]:
    if name == "deblur_free":  # its kernel has no width
        return ()
    family, stated = _degradation(name)
    cls = classes("family").get(family)
    found = []
    for argument, words, end in _SHOWN.get(family, []):
        if cls is None or argument not in (ranges := ranges_of(cls)):
            continue
        default = stated.get(argument, options(cls)[argument])
        low, high = ranges[argument].low, ranges[argument].high if end is None else end
        whole = isinstance(default, int)
        step = 1 if whole else 0.5 if high > 10 else 0.01
        low = step if ranges[argument].above else low
        found.append(Control(argument, words, low, high, step, default))
    return tuple(found)
