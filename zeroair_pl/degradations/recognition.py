"""How much haze, darkness or water a photo shows, from its statistics.

From the log-odds z of a model (``recognition_models``) and r = (z − zero)/(full − zero), the severity is r², or 0 for
r < 0, so that a doubtful photo changes little. Haze has two kinds: fog that grows with the distance, and a veil that is
the same everywhere, whose severity is r²·(3 − 2r) up to r = 1. Each has a model for photos in colors and one for gray
photos. Rules for photos that are meant so come on top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.degradations.recognition_models import MODELS, Model
from zeroair_pl.degradations.statistics import statistics
from zeroair_pl.degradations.steps import ramp
from zeroair_pl.degradations.words import in_words

MOST = 3  # statistics that ``Finding.why`` names
PLAIN = 0.26, 0.29  # ``_uneven`` of a starry sky with noise, and of other scenes


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
    found = _found(family, values)
    if family == "Haze":
        meant = max(rule(values) for rule in (_high_key, _blue_hour, _without_texture, _on_paper, _on_screen))
        found = [replace(each, severity=each.severity * (1 - meant)) for each in found]
    if family == "LowLight":
        meant = max(_meant_dark(values), _bright_sky(values), _on_screen(values))
        found = [replace(each, severity=each.severity * (1 - meant)) for each in [*found, _underexposed(values)]]
    return max(found, key=lambda finding: finding.severity)


def _meant_dark(values: dict[str, float]) -> float:
    """0 to 1: nearly everything is dark, but a light or a glint is bright, or there is nothing but stars.

    This is a correct exposure of a dark object or of the night. In an underexposed photo, the lights are dark too. Of
    42 real dark photos, the plainest has local ranges of 0.11 of its lights (``_uneven``), a starry sky 0.02.
    """
    hard = ramp(values["contrast_99"] / max(values["luminance_99"], 0.01), 0.36, 0.42)
    plain = max((1 - scene(values)) * hard, ramp(_uneven(values), 0.08, 0.04))
    return ramp(values["bright_95"], 0.30, 0.25) * max(ramp(values["bright_999"], 0.55, 0.70), plain)


def scene(values: dict[str, float]) -> float:
    """0 to 1: a dark photo shows more than a few lights, such as stars."""
    return ramp(_uneven(values), *PLAIN)


def _uneven(values: dict[str, float]) -> float:
    """The lower quartile of the local ranges of brightness, relative to the lights."""
    return values["range_25"] / max(values["luminance_99"], 0.01)


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


def _on_screen(values: dict[str, float]) -> float:
    """0 to 1: one value is the darkest everywhere, and a quarter is plain, or all is full of hard lines, as text is.

    This is a dim screen. A photo has grain where it is dark: of 42 real dark ones, the smoothest quarter has 0.010
    (``relative_25``), and its darkest values follow its brightness (``dark_with_luminance`` 0.36 or more). Of 2097
    photos and 700 composed dark ones, none is like text, and one is plain: an animal before pure black.
    """
    plain = ramp(values["relative_25"], 0.008, 0.005)
    lines = ramp(values["relative_25"], 0.17, 0.22) * ramp(values["dark_with_luminance"], 0.34, 0.26)
    return ramp(values["dark_uneven"], 0.27, 0.22) * max(plain, lines)


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
    uneven = _uneven(values)
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


def _found(family: str, values: dict[str, float]) -> list[Finding]:
    """What each model of a family finds; its models of gray photos and of others are one, mixed by how gray it is."""
    found = [(model, _find(model, values)) for model in MODELS[family]]
    pair = [finding for model, finding in found if model.gray is not None and not model.even]
    alone = [finding for model, finding in found if model.gray is None or model.even]
    if not pair:
        return alone
    why = max(pair, key=lambda finding: finding.severity).why
    return [*alone, Finding(sum(finding.severity for finding in pair), why)]


def counts(model: Model, values: dict[str, float]) -> float:
    """0 to 1: how much a model counts for a photo with these statistics, by its colors."""
    share = ramp(values["tones"], *model.colored) if model.colored else 1.0
    if model.gray is not None:
        share *= _gray(values) if model.gray else 1 - _gray(values)
    return share


def _find(model: Model, values: dict[str, float]) -> Finding:
    parts = model.parts(values)
    share = _share((model.odds(values) - model.zero) / (model.full - model.zero), model.even)
    share *= counts(model, values)
    told = [name for name in sorted(parts, key=lambda name: -parts[name])[:MOST] if parts[name] > 0]
    words = in_words((name, values[name] > model.terms[name][0]) for name in told)
    return Finding(share, f"{model.what}: {words}" if share > 0 else "")
