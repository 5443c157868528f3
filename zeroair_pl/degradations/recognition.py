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
        by_color: terms that count only in photos in colors: gray fog and a gray photo have the same colors.
        even: the severity is r²·(3 − 2r) up to r = 1, which is ½ at r = ½, instead of r².
    """

    what: str
    bias: float
    zero: float
    full: float
    terms: dict[str, tuple[float, float, float]]
    colored: tuple[float, float] | None = None
    by_color: tuple[str, ...] = ()
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
        meant = max(_high_key(values), _blue_hour(values), _without_texture(values), _on_paper(values))
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


def _on_paper(values: dict[str, float]) -> float:
    """0 to 1: lines or text in one tone on paper: a quarter of the photo or more is as bright as its brightest parts.

    Fog has shades: of 26 hazy photos, the one that is most like paper has 0.045 between these brightnesses.
    """
    shades = values["luminance_99"] - values["luminance_75"]
    return ramp(shades, 0.025, 0.012) * ramp(values["tones"], 0.016, 0.008)


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

    The models do not cover such photos, since they were fit to brighter ones. Of 1874 photographs, the darkest one's
    brightest value (``bright_999``) is 0.46.
    """
    light = values["luminance_99"]
    uneven = values["range_25"] / max(light, 0.01)
    share = ramp(light, 0.27, 0.18) * ramp(uneven, 0.28, 0.4)
    soft = ramp(values["contrast_99"] / max(light, 0.01), 0.33, 0.25)  # no stars, and no text on a dim screen
    share = max(share, ramp(values["bright_999"], 0.46, 0.26) * ramp(uneven, 0.26, 0.28) * soft)
    return Finding(2 * share * share, "darkness: no bright lights" if share > 0 else "")


def _gray(values: dict[str, float]) -> float:
    """0 to 1: a gray photo, as it is from a camera or after a conversion."""
    return ramp(values["tones"], 0.012, 0.006) * ramp(values["color"], 0.03, 0.015)


def _share(way: float, even: bool) -> float:
    """The severity for r = ``way``, see ``Model.even``."""
    way = max(0.0, way)
    return way * way * (3 - 2 * way) if even and way < 1 else way * way


def _find(model: Model, values: dict[str, float]) -> Finding:
    parts = model.parts(values)
    for name in model.by_color:
        parts[name] *= 1 - _gray(values)
    z = model.bias + sum(parts.values())
    share = _share((z - model.zero) / (model.full - model.zero), model.even)
    if model.colored:
        share *= ramp(values["tones"], *model.colored)
    told = [name for name in sorted(parts, key=lambda name: -parts[name])[:MOST] if parts[name] > 0]
    words = in_words((name, values[name] > model.terms[name][0]) for name in told)
    return Finding(share, f"{model.what}: {words}" if share > 0 else "")


FOG = Model(
    what="fog that grows with the distance", bias=-5.51, zero=-2.3, full=0.1,
    by_color=("far_saturation", "saturation_beyond", "warm_05", "one_hue"),
    terms={
        "contrast_99": (0.227, 0.0612, -1.59),
        "white": (0.0399, 0.0827, -1.24),
        "veil_middle": (0.186, 0.129, 1.05),
        "far_saturation": (0.152, 0.159, -0.95),
        "dark_uneven": (0.717, 0.209, -0.87),
        "warm_05": (-0.0659, 0.139, 0.73),
        "darkest_bands": (0.182, 0.163, -0.71),
        "saturation_beyond": (0.291, 0.147, -0.70),
        "cold_99": (0.873, 0.138, 0.68),
        "edges_top": (0.248, 0.111, -0.67),
        "dark_upwards": (0.114, 0.374, 0.62),
        "contrast_beyond": (0.0922, 0.0327, 0.60),
        "far_luminance": (0.778, 0.17, 0.50),
        "one_hue": (0.683, 0.25, 0.46),
        "darkest_top": (0.201, 0.169, -0.15),
    },
)  # fmt: skip
VEIL = Model(
    what="an even veil", colored=(0.006, 0.016), even=True, bias=-5.35, zero=-0.5, full=0.6,
    terms={
        "dark_textured_10": (0.0599, 0.0685, 1.54),
        "contrast_25": (0.0266, 0.0198, -0.90),
        "darkest_bottom": (0.161, 0.139, -0.88),
        "red_50": (0.996, 0.339, 0.86),
        "relative_25": (0.0629, 0.0481, -0.84),
        "saturation_beyond": (0.296, 0.148, -0.83),
        "lifted_range": (0.161, 0.522, 0.73),
        "saturation_near": (0.447, 0.215, 0.69),
        "in_shadow": (0.114, 0.17, -0.65),
        "skew": (0.195, 0.84, 0.51),
        "veiled": (0.131, 0.127, 0.37),
    },
)  # fmt: skip
DARK = Model(
    what="darkness", bias=-6.26, zero=-1.0, full=0.7,
    terms={
        "contrast_50": (0.0525, 0.0294, -2.10),
        "dark_middle": (0.124, 0.125, -1.98),
        "cold_01": (0.114, 0.112, -1.26),
        "blue_top": (-0.0337, 0.199, 1.25),
        "relative_75": (0.216, 0.102, 1.04),
        "color": (0.179, 0.104, -0.94),
        "dark_bottom": (0.127, 0.137, -0.73),
        "luminance_01": (0.104, 0.0943, -0.60),
        "dark_with_luminance": (0.708, 0.173, 0.58),
        "relative_25": (0.0658, 0.0506, 0.50),
        "range_25": (0.285, 0.144, -0.40),
        "contrast_upwards": (-0.054, 0.237, 0.39),
        "blue": (0.176, 0.235, -0.29),
        "green_of_edges": (0.0238, 0.0748, -0.13),
    },
)  # fmt: skip
WATER = Model(
    what="water", colored=(0.02, 0.05), bias=-6.73, zero=-1.3, full=0.3,
    terms={
        "warm_05": (-0.0589, 0.126, -1.52),
        "red_of_mean": (1.05, 0.42, -1.47),
        "blue": (0.173, 0.228, -1.35),
        "red_50": (0.997, 0.323, -1.06),
        "white": (0.0403, 0.0831, -0.96),
        "one_hue": (0.678, 0.251, 0.90),
        "luminance_99": (0.854, 0.141, -0.84),
        "contrast_50": (0.0516, 0.0296, 0.73),
        "green_of_edges": (0.024, 0.0753, -0.38),
        "dark_with_saturation": (-0.458, 0.281, -0.36),
    },
)  # fmt: skip

MODELS = {"Haze": (FOG, VEIL), "LowLight": (DARK,), "Underwater": (WATER,)}
