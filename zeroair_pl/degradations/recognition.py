"""How much haze, darkness or water a photo shows, from its statistics.

Each model is logistic. The log-odds that the photo shows the degradation are

    z = b + Σ w·4·tanh((value − usual)/(4·spread))

over statistics of the photo. With r = (z − zero)/(full − zero), the severity is r², or 0 for r < 0, so that a doubtful
photo changes little. Haze has two models: fog that grows with the distance, and a veil that is the same everywhere,
whose severity is r²·(3 − 2r) up to r = 1.

The numbers below were fit once, to photos of these kinds and to photos with added degradations; docs/method.md says
how. Nothing here is learned when a photo is restored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.degradations.words import in_words

MOST = 3  # statistics that ``Finding.why`` names
FAR = 4.0  # limit of a statistic's influence, in spreads from its usual value: no statistic decides alone


@dataclass(frozen=True)
class Model:
    """A logistic model of one degradation.

    Attributes:
        what: the degradation, in words.
        bias: b.
        zero: z up to which the severity is 0.
        full: z at which the severity is 1.
        terms: for each statistic its usual value, its spread among photos, and w.
        colored: two values of the statistic ``tones``. Up to the first, a photo counts as gray or toned on purpose, and
            the severity is 0; from the second on, as a photo in colors. ``None`` ignores color.
        even: the severity is r²·(3 − 2r) up to r = 1, which is ½ at r = ½, instead of r².
    """

    what: str
    bias: float
    zero: float
    full: float
    terms: dict[str, tuple[float, float, float]]
    colored: tuple[float, float] | None = None
    even: bool = False

    def scaled(self, values: dict[str, float]) -> list[float]:
        """4·tanh((value − usual)/(4·spread)) of each statistic."""
        terms = self.terms.items()
        return [FAR * math.tanh((values[name] - usual) / spread / FAR) for name, (usual, spread, _) in terms]

    def parts(self, values: dict[str, float]) -> dict[str, float]:
        """The contribution of each statistic to z, by name."""
        weights = [weight for _, _, weight in self.terms.values()]
        return {name: w * x for name, w, x in zip(self.terms, weights, self.scaled(values), strict=True)}


@dataclass(frozen=True)
class Finding:
    """How strongly a photo shows the degradation of one family.

    Attributes:
        severity: see ``Degradation.severity``.
        why: the main evidence, in words.
    """

    severity: float
    why: str


def look_for(family: str, y: Tensor) -> Finding:
    """How strongly the photo ``y`` (1, 3, H, W) in [0, 1] shows a family: ``Haze``, ``LowLight`` or ``Underwater``."""
    values = statistics(looked_at(y))
    found = [_find(model, values) for model in MODELS[family]]
    if family == "Haze":
        meant = max(_high_key(values), _blue_hour(values), _without_texture(values))
        found = [replace(each, severity=each.severity * (1 - meant)) for each in found]
    if family == "LowLight":
        meant = max(_meant_dark(values), _bright_sky(values))
        found = [replace(each, severity=each.severity * (1 - meant)) for each in [*found, _underexposed(values)]]
    return max(found, key=lambda finding: finding.severity)


def _meant_dark(values: dict[str, float]) -> float:
    """0 to 1: nearly everything is dark, but a light or a glint is bright.

    This is a correct exposure of a dark object or of the night. In an underexposed photo, the lights are dark too.
    """
    return ramp(values["bright_95"], 0.30, 0.25) * ramp(values["bright_999"], 0.55, 0.70)


def _high_key(values: dict[str, float]) -> float:
    """0 to 1: the photo is bright everywhere, or a quarter of it is nearly white; fog is darker.

    Such photos are of snow, of flowers or a product before white, of paper, or have an overexposed sky or wall.
    """
    return max(ramp(values["luminance_75"], 0.87, 0.93), ramp(values["luminance_01"], 0.66, 0.76))


def _blue_hour(values: dict[str, float]) -> float:
    """0 to 1: shades of one blue, such as snow in the shade or after sunset, and toned photos."""
    return ramp(values["tones"], 0.016, 0.008) * ramp(values["blue"], 0.15, 0.3)


def _without_texture(values: dict[str, float]) -> float:
    """0 to 1: there is no texture at all, as in a gradient or a plain area. Nobody can see how dense haze is there."""
    return ramp(values["contrast_99"], 0.04, 0.02)


def _bright_sky(values: dict[str, float]) -> float:
    """0 to 1: most of the upper third is bright and without shadows.

    The exposure is then correct for the sky, and the dark objects below it are silhouettes.
    """
    return ramp(values["dark_top"], 0.48, 0.57)


def _underexposed(values: dict[str, float]) -> Finding:
    """A very dark photo: even its lights are not bright, and it shows more than a few lights.

    The models do not cover such photos, since they were fit to brighter ones.
    """
    light = values["luminance_99"]
    share = ramp(light, 0.27, 0.18) * ramp(values["range_25"] / max(light, 0.01), 0.28, 0.4)
    return Finding(share * share, "darkness: no bright lights" if share > 0 else "")


def _share(way: float, even: bool) -> float:
    """The severity for r = ``way``, see ``Model.even``."""
    way = max(0.0, way)
    return way * way * (3 - 2 * way) if even and way < 1 else way * way


def _find(model: Model, values: dict[str, float]) -> Finding:
    parts = model.parts(values)
    z = model.bias + sum(parts.values())
    share = _share((z - model.zero) / (model.full - model.zero), model.even)
    if model.colored:
        share *= ramp(values["tones"], *model.colored)
    told = [name for name in sorted(parts, key=lambda name: -parts[name])[:MOST] if parts[name] > 0]
    words = in_words((name, values[name] > model.terms[name][0]) for name in told)
    return Finding(share, f"{model.what}: {words}" if share > 0 else "")


FOG = Model(
    what="fog that grows with the distance", bias=-5.00, zero=-0.8, full=2.0,
    terms={
        "veil_middle": (0.192, 0.131, 1.44),
        "contrast_99": (0.228, 0.0596, -1.35),
        "far_saturation": (0.148, 0.156, -1.21),
        "dark_upwards": (0.122, 0.377, 1.18),
        "warm_05": (-0.0615, 0.13, 1.13),
        "white": (0.0417, 0.0855, -1.04),
        "darkest_top": (0.207, 0.172, -1.01),
        "cold_99": (0.882, 0.116, 0.89),
        "dark_with_luminance": (0.71, 0.166, 0.75),
        "skew": (0.198, 0.848, 0.56),
        "contrast_upwards": (-0.051, 0.235, -0.54),
        "contrast_25": (0.0285, 0.021, -0.52),
        "saturation_upwards": (-0.0326, 0.343, -0.36),
        "one_hue": (0.689, 0.246, 0.35),
    },
)  # fmt: skip
VEIL = Model(
    what="an even veil", colored=(0.006, 0.016), even=True, bias=-5.29, zero=-0.35, full=0.65,
    terms={
        "saturation_25": (0.216, 0.175, -1.15),
        "lifted_range": (0.164, 0.491, 1.10),
        "red_50": (1.0, 0.311, 0.93),
        "dark_upwards": (0.131, 0.374, 0.88),
        "contrast_25": (0.0287, 0.0212, -0.81),
        "dark_with_saturation_textured": (-0.433, 0.241, -0.77),
        "dark_textured_10": (0.0602, 0.0668, 0.73),
        "relative_25": (0.067, 0.0501, -0.53),
        "green_of_edges": (0.0277, 0.0751, -0.46),
        "darkest_bottom": (0.159, 0.134, -0.43),
        "dark_75": (0.343, 0.21, -0.41),
        "in_shadow": (0.1, 0.146, -0.37),
        "darkest_middle": (0.146, 0.114, 0.19),
        "dark_with_relative": (-0.538, 0.226, 0.18),
    },
)  # fmt: skip
DARK = Model(
    what="darkness", bias=-6.80, zero=-1.0, full=1.0,
    terms={
        "contrast_50": (0.0527, 0.0296, -2.09),
        "blue_top": (-0.0368, 0.194, 1.76),
        "color": (0.178, 0.101, -1.45),
        "luminance_01": (0.101, 0.0937, -1.30),
        "cold_01": (0.111, 0.112, -1.26),
        "relative_25": (0.0671, 0.051, 1.16),
        "relative_75": (0.22, 0.103, 1.15),
        "dark_middle": (0.121, 0.122, -0.94),
        "range_25": (0.287, 0.145, -0.92),
        "dark_with_luminance": (0.71, 0.166, 0.76),
        "dark_bottom": (0.125, 0.137, -0.62),
        "blue": (0.176, 0.234, -0.44),
        "green_of_edges": (0.0252, 0.0755, 0.33),
        "contrast_upwards": (-0.051, 0.235, 0.17),
    },
)  # fmt: skip
WATER = Model(
    what="water", colored=(0.02, 0.05), bias=-6.21, zero=-1.5, full=1.0,
    terms={
        "warm_05": (-0.0615, 0.13, -1.59),
        "white": (0.0417, 0.0855, -1.41),
        "luminance_99": (0.862, 0.12, -1.32),
        "blue": (0.176, 0.234, -1.12),
        "red_of_mean": (1.04, 0.386, -1.09),
        "one_hue": (0.689, 0.246, 1.01),
        "red_50": (0.997, 0.327, -0.78),
        "dark_with_saturation": (-0.464, 0.277, -0.68),
        "contrast_50": (0.0527, 0.0296, 0.65),
        "green_of_edges": (0.0252, 0.0755, -0.37),
    },
)  # fmt: skip

MODELS = {"Haze": (FOG, VEIL), "LowLight": (DARK,), "Underwater": (WATER,)}
