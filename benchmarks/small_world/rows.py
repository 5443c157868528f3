"""The rows of the comparison in the small world: each is the paper's preset, at this size, with one change.

main        the preset; no TDM, no TDG, no stages, each stage left out; one noise map; a plain squared error for the GAN
physics     a physical family instead of the free network
today       today's preset for the kind, with the prior of this world, the bundled prior, and a prior without learning
gan         the other five adversarial objectives
terms       each term of TDM left out
boundaries  the boundaries of the stages moved
nfe         25 to 1000 steps, which guide the estimate
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ablations import Row, at_hand, gan_forms, on_top, resolved, with_part, with_settings, without_parts
from sets import Preset

PAPER = {"haze": "paper/dehaze", "low light": "paper/low_light", "noise": "paper/denoise"}
TODAY = {"haze": "dehaze", "low light": "low_light", "noise": "denoise", "blur": "deblur"}
FAMILY = {"haze": "Haze", "low light": "LowLight", "noise": "Noise"}
WIDTHS = [16, 32, 64]  # channels of the free network: a quarter of the paper's, for photos of a smaller side
BASE = "paper's preset"
STEPS = (25, 50, 100, 250, 1000)


def rows_of(kind: str, prior: str, group: str, steps: int, estimate: bool = False, scale: float = 1.0) -> Iterator[Row]:
    """The rows of a group for a kind of degradation, with the prior in the folder ``prior``; see ``paper``."""
    if group == "today":
        yield from today(kind, prior)
    elif kind in PAPER:  # the paper has no preset for blur
        base = paper(kind, prior, steps, estimate or group == "nfe", scale)
        if group == "main":
            yield from main(base)
        elif group == "physics":
            yield "physics in the preset", with_settings(base, degradation=FAMILY[kind])
        elif group == "gan":
            found = ((title.partition(", ")[2], row) for title, row in gan_forms(BASE, base))
            yield from ((title, row) for title, row in found if title != "bce")  # the preset itself
        elif group == "terms":
            yield from _chosen(base, "without modeling")
        elif group == "boundaries":
            yield from boundaries(base)
        else:
            yield from nfe(base)


def paper(kind: str, prior: str, steps: int, estimate: bool = False, scale: float = 1.0) -> Preset:
    """The published preset with this world's prior and its features, and a smaller φ.

    It guides the posterior mean, or the clean ``estimate``: the guidance of the mean diverges with few steps. ``scale``
    multiplies the published step of the guidance; the full step moves images further than this prior can follow.
    """
    published = Preset((PAPER[kind],))
    settings = at_hand(resolved(published))
    settings["degradation"] = {"class_path": "Neural", "init_args": {"widths": WIDTHS}}
    settings["prior"] = _prior(prior)
    settings["sampling"]["steps"] = steps
    update = settings["guidance"]["update"]["init_args"]
    update["scale"] *= scale
    if estimate:
        update["on"] = "estimate"
    # A new config, not a layer on the published file, whose options this prior does not support.
    return Preset((), {**settings, "seed": resolved(published)["seed"]})


def main(base: Preset) -> Iterator[Row]:
    yield BASE, base
    settings = resolved(base)
    modeling = settings["modeling"]
    yield "no TDM: φ stays as it began", with_part(base, settings, "modeling", terms=[])
    yield "no TDM: φ is the identity", with_settings(base, degradation="Noise", modeling={**modeling, "terms": []})
    yield "no TDG", with_part(base, settings, "guidance", terms=[])
    squared = [{"loss": {"class_path": "Fidelity"}, "weight": 1.0}]
    yield "no stages", with_part(base, settings, "guidance", terms=squared)
    yield from _chosen(base, "without stage", "one noise map")
    yield "L2 for the GAN", _without_game(base)


def boundaries(base: Preset) -> Iterator[Row]:
    settings = resolved(base)
    moves = (("global_content", 0.8), ("global_content", 0.6), ("content_detail", 0.1), ("content_detail", 0.02))
    for name, value in moves:
        moved = {**settings["guidance"]["boundaries"], name: value}
        yield f"{name} at {value:g}", with_part(base, settings, "guidance", boundaries=moved)


def _chosen(base: Preset, *titles: str) -> Iterator[Row]:
    yield from ((title, row) for title, row in without_parts(base, resolved(base)) if title.startswith(titles))


def _without_game(base: Preset) -> Preset:
    settings = resolved(base)
    terms = []
    for term in settings["modeling"]["terms"]:
        game = term["loss"]["class_path"] == "Adversarial"
        terms.append({**term, "loss": {"class_path": "Fidelity"}} if game else term)  # between φ(x0) and y
    return with_part(base, settings, "modeling", terms=terms)


def today(kind: str, prior: str) -> Iterator[Row]:
    """Today's preset for the kind, with priors from one without learning to the prior of this world."""
    preset = Preset((TODAY[kind],))
    yield "today's preset", with_settings(preset, prior=_prior(prior))
    yield "today's, bundled prior", preset
    yield "today's, cosine prior", on_top(preset, "cosine_prior")


def nfe(base: Preset) -> Iterator[Row]:
    settings = resolved(base)
    yield from ((f"{steps} steps", with_part(base, settings, "sampling", steps=steps)) for steps in STEPS)


def _prior(path: str) -> dict[str, Any]:
    return {"class_path": "UNetPrior", "init_args": {"path": path, "precision": "bfloat16"}}
