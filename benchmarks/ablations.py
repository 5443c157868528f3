"""Ablations: the effect of each part of the method on PSNR, in one table.

    python benchmarks/ablations.py --sets FOLDER [--base task] [--groups method steps] [--limit N] [--seeds 0]

By default it measures the paper's three sets if they are in the folder, else all sets in the folder with clean photos.
For a set whose name does not begin with a kind of degradation, `task` means `auto`. Each row is the base config with
one change, by a layer of configs/ablations/ or by a setting:

    method   TDM, the learned noise level, the posterior mean, the sampler, the start, physics, the prior, each loss and
             each stage that the base has, one or two noise maps
    steps    8 to 250 steps
    gan      the forms of the adversarial game, on top of ablations/gan
    paper    the published presets with the bundled prior and 250 steps, and without each of their parts. This needs a
             GPU: on a CPU it takes fifteen minutes or more for each photo and row

The restored photos stay in OUT/SET/ROW/seed-N. After an interruption, the same command continues, as quality.py does.
Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import machine
import quality
import sets
from machine import option
from quality import TASK
from sets import PhotoSet, Preset

from zeroair_pl.errors import ConfigError

PAPER_SETS = ["haze-hsts", "lowlight-lol256", "noise-kodak256"]
GROUPS = ("method", "steps", "gan", "paper")
# One or several layers of configs/ablations/; each row differs from another one in one part.
LAYERS = [
    ("no_tdm",),
    ("one_sample",),
    ("proximal",),
    ("proximal", "from_noise"),
    ("gradient",),
    ("gradient", "from_noise"),
    ("gradient", "neural"),
    ("gradient", "neural", "gan"),
    ("gan",),
    ("cosine_prior",),
]
STEPS = (8, 20, 50, 100, 250)
PAPER = {"haze": "paper/dehaze", "lowlight": "paper/low_light", "noise": "paper/denoise"}
PAPER_STEPS = 250  # the scale of a step grows as the number of steps falls; with far fewer steps, the fit diverges
STAGES = ("I", "II", "III")
Row = tuple[str, Preset]


def measure(options: argparse.Namespace) -> int:
    """Restores, prints the table and writes the JSON file; returns 1 if a photo could not be restored, else 0."""
    found = chosen(options)
    about: dict[str, Any] = {"base": machine.title_of(options.base), "seeds": options.seeds, **machine.described()}
    about["sets"] = {}
    complete, path = True, Path()
    for photos in found:
        rows: dict[str, Any] = {}
        about["sets"][photos.name] = {"photos": len(photos.degraded), "rows": rows}
        for title, preset in rows_of(photos, options):
            try:
                complete &= quality.measure_preset(photos, title, preset, options, rows)
            except ConfigError as error:  # such as a family that the update of this row does not support
                complete = False
                print(f"skipped: {photos.name}, {title}: {error}", file=sys.stderr)
            path = machine.write(options.name, about)
    table({name: each["rows"] for name, each in about["sets"].items()})
    print(f"all numbers: {path}")
    return 0 if complete else 1


def chosen(options: argparse.Namespace) -> list[PhotoSet]:
    """The sets of ``--only``; by default the paper's sets if they are there, else all sets."""
    found = sets.find(options.sets, options.only or [], options.limit)
    if options.only:
        return found
    in_folder = {path.name for path in options.sets.iterdir()}
    own = [photos for photos in found if photos.name in in_folder and photos.clean]
    if not own:
        raise ConfigError(
            f"--sets {options.sets}: no set in it has clean photos beside degraded ones of the same names."
        )
    return [photos for photos in own if photos.name in PAPER_SETS] or own


def rows_of(photos: PhotoSet, options: argparse.Namespace) -> Iterator[Row]:
    """The rows of the chosen groups for a set; none if there is no preset for its kind."""
    base = quality.layers(photos, options.base) or quality.layers(photos, options.base.replace(TASK, "auto", 1))
    assert base is not None
    if {"method", "steps", "gan"} & set(options.groups):
        yield "base", base
    if "method" in options.groups:
        yield from ((" + ".join(names), on_top(base, *names)) for names in LAYERS)
        settings = resolved(base)
        yield "noise level not learned", with_settings(base, degradation=_held(settings))
        yield from without_parts(base, settings)
    if "steps" in options.groups:
        yield from ((f"{steps} steps", with_settings(base, sampling={"steps": steps})) for steps in STEPS)
    if "gan" in options.groups:
        yield from gan_forms("gan", on_top(base, "gan"))
    if "paper" in options.groups and photos.kind in PAPER:
        small = with_settings(Preset((PAPER[photos.kind],)), **at_hand(resolved(Preset((PAPER[photos.kind],)))))
        yield "paper", small
        yield from ((f"paper, {title}", preset) for title, preset in without_parts(small, resolved(small)))
        yield from gan_forms("paper", small)


def on_top(base: Preset, *names: str) -> Preset:
    """The base with layers of configs/ablations/ on top."""
    return Preset((*base.configs, *(f"ablations/{name}" for name in names)), base.settings)


def with_settings(base: Preset, **settings: Any) -> Preset:
    """The base with settings that override its own."""
    return Preset(base.configs, {**base.settings, **settings})


def without_parts(base: Preset, settings: dict[str, Any]) -> Iterator[Row]:
    """The base without each of its losses and stages, and with the other number of noise maps."""
    for part in ("modeling", "guidance"):
        terms = settings[part]["terms"]
        for i, term in enumerate(terms):
            if part == "guidance" or len(terms) > 1:  # without its only term: the row no_tdm
                title = f"without {part} {term['loss']['class_path']}"
                yield title, with_part(base, settings, part, terms=terms[:i] + terms[i + 1 :])
    for stage in STAGES if settings["guidance"]["terms"] else ():
        terms = [{**term, "weight": {**_staged(term), stage: 0.0}} for term in settings["guidance"]["terms"]]
        yield f"without stage {stage}", with_part(base, settings, "guidance", terms=terms)
    sampler = settings["sampling"].get("sampler")
    if (sampler or {}).get("class_path") == "SchedulerSampler":
        options = sampler.get("init_args", {})
        title = "one noise map" if options.get("auxiliary") else "two noise maps"
        changed = {**sampler, "init_args": {**options, "auxiliary": not options.get("auxiliary")}}
        yield title, with_part(base, settings, "sampling", sampler=changed)


def gan_forms(title: str, base: Preset) -> Iterator[Row]:
    """The base with each objective for its adversarial losses."""
    from zeroair_pl.guidance.discriminator import Objective

    settings = resolved(base)
    for objective in get_args(Objective):
        changed = base
        for part in ("modeling", "guidance"):
            terms = [_with_objective(term, objective) for term in settings[part]["terms"]]
            changed = with_part(changed, settings, part, terms=terms)
        yield f"{title}, {objective}", changed


def with_part(base: Preset, settings: dict[str, Any], part: str, **changed: Any) -> Preset:
    """The base with changes in ``settings[part]``."""
    return with_settings(base, **{part: {**settings[part], **changed}})


def at_hand(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a published preset with the bundled prior and its features, which need no download."""

    def swapped(value: Any) -> Any:
        if isinstance(value, list):
            return [swapped(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {key: swapped(item) for key, item in value.items()}
        if "trunk" in found:
            found["trunk"] = "prior"
        if found.get("variance_type") == "learned_range":  # the bundled prior predicts no variances
            found["variance_type"] = "fixed_small"
        return found

    parts = {name: swapped(settings[name]) for name in ("modeling", "guidance", "sampling")}
    parts["sampling"]["steps"] = PAPER_STEPS
    return {**parts, "prior": {"class_path": "UNetPrior", "init_args": {"path": "small", "precision": "bfloat16"}}}


def resolved(preset: Preset) -> dict[str, Any]:
    """All settings of a preset, as ``--print_config`` shows them."""
    from zeroair_pl.api import settings_of

    return settings_of(preset.configs, **preset.settings)


def table(found: dict[str, dict[str, Any]]) -> None:
    """Prints PSNR / SSIM and the difference from the first row of the same base, with a column for each set."""
    titles = list(dict.fromkeys(title for rows in found.values() for title in rows))
    print(f"\n{'':<36}" + "".join(f"{name:>26}" for name in found))
    for title in titles:
        cells = []
        for rows in found.values():
            base = rows.get("paper" if title.startswith("paper") else "base")
            row = rows.get(title)
            if row is None or "psnr" not in row:
                cells.append(f"{'–':>26}")
                continue
            change = f" ({row['psnr'] - base['psnr']:+.2f})" if base and row is not base else ""
            cells.append(f"{row['psnr']:.2f} / {row['ssim']:.3f}{change}".rjust(26))
        print(f"{title:<36}" + "".join(cells))


def _held(settings: dict[str, Any]) -> dict[str, Any]:
    from held import held

    from zeroair_pl.plugins import classes

    family = settings["degradation"]
    path = held(classes("family")[family["class_path"]])
    return {"class_path": path, "init_args": family.get("init_args", {})}


def _staged(term: dict[str, Any]) -> dict[str, float]:
    weight = term["weight"]
    return dict(weight) if isinstance(weight, dict) else dict.fromkeys(STAGES, weight)


def _with_objective(term: dict[str, Any], objective: str) -> dict[str, Any]:
    loss = term["loss"]
    if "objective" not in loss.get("init_args", {}):
        return term
    return {**term, "loss": {**loss, "init_args": {**loss["init_args"], "objective": objective}}}


main = machine.Command(
    measure,
    __doc__,
    option("--sets", type=Path, required=True, help="folder of sets, as for quality.py"),
    option("--base", default=TASK, help="config to change, as for quality.py"),
    option("--groups", nargs="+", choices=GROUPS, default=["method", "steps"]),
    option("--only", nargs="+", help="names of sets; by default the paper's, or all"),
    option("--limit", type=int, help="only so many photos of each set"),
    option("--seeds", nargs="+", type=int, default=[0]),
    option("--out", type=Path, default=Path("restored") / "ablations", help="where the photos go"),
    name="ablations",
)

if __name__ == "__main__":
    raise SystemExit(main())
