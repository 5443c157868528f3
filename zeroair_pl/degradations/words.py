"""The meaning of the statistics of a photo, in plain words."""

from __future__ import annotations

from collections.abc import Iterable

# For each statistic of a model in ``recognition_models``: what a value above the usual one means, and one below it.
_WORDS: dict[str, tuple[str, str]] = {
    "bright_95": ("bright lights", "no bright lights"),
    "blue": ("much of it is blue", "little of it is blue"),
    "blue_top": ("a blue top", "no blue at the top"),
    "cold_01": ("nothing is black", "deep blacks"),
    "cold_99": ("bright lights", "no bright lights"),
    "color": ("strong colors", "weak colors"),
    "contrast_25": ("texture nearly everywhere", "smooth areas"),
    "contrast_50": ("high contrast", "low contrast"),
    "contrast_99": ("hard edges", "no hard edges"),
    "contrast_beyond": ("contrast where it is pale", "no contrast where it is pale"),
    "contrast_upwards": ("more contrast towards the top", "less contrast towards the top"),
    "dark_bottom": ("no shadows at the bottom", "deep shadows at the bottom"),
    "dark_middle": ("no shadows in the middle", "deep shadows in the middle"),
    "dark_textured_10": ("no shadows where there is texture", "deep shadows where there is texture"),
    "dark_uneven": ("light and dark side by side", "shadows that fade with the distance"),
    "dark_upwards": ("paler towards the top", "darker towards the top"),
    "dark_with_luminance": ("what is brighter is paler", "what is brighter has shadows"),
    "dark_with_saturation": ("colors where it is pale", "no colors where it is pale"),
    "darkest_bands": ("no shadows across the photo", "deep shadows across the photo"),
    "darkest_bottom": ("no shadows at the bottom", "deep shadows at the bottom"),
    "darkest_top": ("no shadows at the top", "deep shadows at the top"),
    "edges_top": ("hard edges at the top", "soft edges at the top"),
    "far_saturation": ("colors in the distance", "a gray distance"),
    "green_of_edges": ("green edges", "blue edges"),
    "in_shadow": ("much of it in shadow", "little of it in shadow"),
    "lights_top": ("a bright top", "a top that is not bright"),
    "lifted_range": ("nothing is black", "deep blacks"),
    "luminance_01": ("nothing is black", "deep blacks"),
    "luminance_99": ("bright lights", "no bright lights"),
    "one_hue": ("a color cast", "no color cast"),
    "range_25": ("light and dark everywhere", "areas of one brightness"),
    "red_50": ("more red than usual", "little red"),
    "red_of_mean": ("more red than usual", "little red"),
    "relative_25": ("contrast for its brightness", "little contrast for its brightness"),
    "relative_75": ("contrast for its brightness", "little contrast for its brightness"),
    "saturation_beyond": ("colors in the middle distance", "a pale middle distance"),
    "saturation_near": ("colors in the shadows", "pale shadows"),
    "skew": ("mostly darker than its mean", "mostly brighter than its mean"),
    "veil_middle": ("a veil in the middle", "no veil in the middle"),
    "veiled": ("much of it is pale", "little of it is pale"),
    "warm_05": ("no cold colors", "cold colors"),
    "white": ("white areas", "no white areas"),
}


def in_words(told: Iterable[tuple[str, bool]]) -> str:
    """The words of statistics, each said once.

    Args:
        told: names of statistics, and whether each is above its usual value.
    """
    return ", ".join(dict.fromkeys(_WORDS[name][0 if above else 1] for name, above in told))
