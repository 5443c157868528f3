"""The logistic models of haze, darkness and water.

The log-odds that a photo shows the degradation are

    z = b + Σ w·4·tanh((value − usual)/(4·spread))

over statistics of the photo (``statistics``). The numbers below were fit once, to photos of these kinds and to photos
with added degradations; docs/method.md says how. Nothing here is learned when a photo is restored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
        gray: the model counts only in gray photos (``True``) or only in others (``False``); ``None``: in all.
        even: the severity is r²·(3 − 2r) up to r = 1, which is ½ at r = ½, instead of r².
    """

    what: str
    bias: float
    zero: float
    full: float
    terms: dict[str, tuple[float, float, float]]
    colored: tuple[float, float] | None = None
    gray: bool | None = None
    even: bool = False

    def scaled(self, values: dict[str, float]) -> list[float]:
        """4·tanh((value − usual)/(4·spread)) of each statistic."""
        terms = self.terms.items()
        return [FAR * math.tanh((values[name] - usual) / spread / FAR) for name, (usual, spread, _) in terms]

    def odds(self, values: dict[str, float]) -> float:
        """z."""
        return self.bias + sum(self.parts(values).values())

    def parts(self, values: dict[str, float]) -> dict[str, float]:
        """The contribution of each statistic to z, by name."""
        weights = [weight for _, _, weight in self.terms.values()]
        return {name: w * x for name, w, x in zip(self.terms, weights, self.scaled(values), strict=True)}


FOG = Model(
    what="fog that grows with the distance", gray=False, bias=-5.58, zero=-2.3, full=0.1,
    terms={
        "contrast_99": (0.227, 0.0612, -1.58),
        "white": (0.0399, 0.0827, -1.33),
        "lights_top": (0.674, 0.209, 1.03),
        "veil_middle": (0.186, 0.129, 0.96),
        "dark_uneven": (0.717, 0.209, -0.90),
        "far_saturation": (0.152, 0.159, -0.90),
        "edges_top": (0.248, 0.111, -0.84),
        "darkest_bands": (0.182, 0.163, -0.72),
        "saturation_beyond": (0.29, 0.147, -0.68),
        "warm_05": (-0.0659, 0.139, 0.65),
        "contrast_beyond": (0.0922, 0.0327, 0.62),
        "cold_99": (0.873, 0.138, 0.50),
        "one_hue": (0.683, 0.25, 0.45),
        "dark_upwards": (0.114, 0.374, 0.40),
        "darkest_top": (0.201, 0.169, -0.22),
    },
)  # fmt: skip
GRAY_FOG = Model(
    what="fog that grows with the distance", gray=True, bias=-4.74, zero=-1.4, full=1.6,
    terms={
        "lights_top": (0.675, 0.207, 1.61),
        "contrast_99": (0.226, 0.0611, -1.56),
        "white": (0.0161, 0.0522, -1.20),
        "darkest_bands": (0.27, 0.175, -0.92),
        "veil_middle": (0.316, 0.149, 0.81),
        "edges_top": (0.249, 0.111, -0.78),
        "dark_uneven": (0.787, 0.198, -0.46),
        "contrast_beyond": (0.113, 0.0334, 0.37),
        "cold_99": (0.851, 0.141, 0.32),
        "dark_upwards": (0.123, 0.378, 0.27),
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
GRAY_VEIL = Model(
    what="an even veil", gray=True, even=True, bias=-4.43, zero=-0.5, full=1.0,
    terms={
        "dark_textured_10": (0.115, 0.0928, 1.55),
        "dark_uneven": (0.789, 0.196, -0.52),
        "lifted_range": (0.47, 0.961, 0.44),
        "relative_25": (0.0631, 0.048, -0.43),
        "in_shadow": (0.112, 0.167, -0.30),
        "darkest_bottom": (0.161, 0.139, -0.18),
        "skew": (0.19, 0.826, 0.18),
        "veiled": (0.202, 0.132, 0.13),
        "contrast_25": (0.0267, 0.0198, 0.02),
    },
)  # fmt: skip
DARK = Model(
    what="darkness", gray=False, bias=-4.75, zero=-1.2, full=0.85,
    terms={
        "cold_01": (0.114, 0.112, -2.12),
        "color": (0.179, 0.104, -1.21),
        "dark_bottom": (0.127, 0.137, -1.12),
        "dark_uneven": (0.722, 0.204, -1.06),
        "dark_middle": (0.124, 0.125, -0.73),
        "blue_top": (-0.0337, 0.199, 0.70),
        "contrast_50": (0.0525, 0.0294, -0.69),
        "relative_75": (0.216, 0.102, 0.50),
        "contrast_beyond": (0.0927, 0.0322, -0.44),
        "contrast_upwards": (-0.054, 0.237, 0.43),
        "bright_95": (0.856, 0.122, 0.30),
        "dark_upwards": (0.129, 0.381, -0.21),
    },
)  # fmt: skip
GRAY_DARK = Model(
    what="darkness", gray=True, bias=-5.34, zero=-1.4, full=0.95,
    terms={
        "cold_01": (0.104, 0.0938, -1.75),
        "dark_uneven": (0.79, 0.195, -1.37),
        "contrast_50": (0.0526, 0.0293, -1.19),
        "dark_middle": (0.205, 0.143, -1.17),
        "relative_75": (0.216, 0.101, 1.00),
        "contrast_upwards": (-0.0532, 0.237, 0.36),
        "dark_bottom": (0.201, 0.156, -0.35),
        "dark_with_luminance": (0.775, 0.117, 0.15),
        "contrast_beyond": (0.114, 0.0325, -0.14),
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

MODELS = {"Haze": (FOG, GRAY_FOG, VEIL, GRAY_VEIL), "LowLight": (DARK, GRAY_DARK), "Underwater": (WATER,)}
