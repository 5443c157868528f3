"""Measures TDM: how well a fit finds the known parameters of degraded photos.

    python benchmarks/tdm.py [--photos FOLDER] [--limit N] [--side 256] [--config auto]

Clean photos, by default those of the examples, are shrunk to ``--side`` and degraded by composed.py in three kinds and
three strengths. Each is fitted with the preset of its kind, or with ``--config`` for all kinds. The parameters of φ are
compared with the true ones twice: after ``initialize`` (start), and at the end of the fit. A family without a parameter
counts as one that finds no such degradation: transmission, illumination and gamma of 1.

It prints means over photos and strengths, and whether the end reaches the goal. Writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import machine
import sets
from machine import option

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from composed import Composed
    from torch import Tensor

    from zeroair_pl.degradations import Degradation
    from zeroair_pl.method.settings import Method

CONFIGS = {"haze": "dehaze", "low light": "low_light", "noise": "denoise"}
STRENGTHS = 3


class Goal(NamedTuple):
    """The goal for the mean of a quantity at the end of a fit, and the reason for its value."""

    limit: float
    at_least: bool
    reason: str

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


# These follow from the goals for restored photos, 23 dB for haze (an RMSE of 0.071) and 18.3 dB for low light (0.12):
# the error of one parameter alone may cause this error of the restored photo.
GOALS: dict[str, dict[str, Goal]] = {
    "haze": {
        "transmission": Goal(0.085, False, "dJ = (J − A)·dt/t: 23 dB where |J − A| is 0.45 and t 0.55"),
        "airlight": Goal(0.05, False, "dJ = dA·(1 − t)/t: at t = 0.5 half of the squared error that 23 dB allow"),
        "noise ratio": Goal(1.25, False, "a denoiser told a level wrong by a quarter loses a few tenths of a dB"),
        "distance": Goal(29.0, True, "a misfit of 0.035 doubles on its way through φ⁻¹ at t = 0.5: 23 dB"),
    },
    "low light": {
        "illumination": Goal(0.27, False, "dx/x = dL/L: 18.3 dB on a photo of mean 0.45"),
        "illumination shape": Goal(0.14, False, "the common factor may cost three quarters of that squared error"),
        "gamma": Goal(0.3, False, "dx = x·ln x·dγ/γ, at most 0.37·dγ/γ: 21 dB at γ = 1.2"),
        "noise ratio": Goal(1.25, False, "as for haze"),
        "distance": Goal(32.0, True, "a misfit of 0.024 grows fivefold on its way through φ⁻¹ at L = 0.2: 18.3 dB"),
    },
    "noise": {
        "noise ratio": Goal(1.25, False, "as for haze"),
        "distance to ceiling": Goal(0.5, False, "φ is known here; what is missing was made up"),
    },
}


def measure(options: argparse.Namespace) -> int:
    """Prints the table and writes the JSON file."""
    from clocks import method_of
    from composed import COMPOSE

    from zeroair_pl.method.solve import solve
    from zeroair_pl.tensors.per_image import image_generator

    photos = sets.by_stem(options.photos)
    if not photos:
        raise ConfigError(f"--photos {options.photos}: no photo is in there.")
    chosen = {name: _shrunk(photos[name], options.side) for name in list(photos)[: options.limit]}
    about: dict[str, Any] = {"photos": len(chosen), "side": options.side, **machine.described(), "kinds": {}}
    print(f"{'kind':<10} {'quantity':<20} {'start':>8} {'end':>8}    goal")
    for kind, compose in COMPOSE.items():
        config = options.config or CONFIGS[kind]
        method: Method = method_of(config)
        cases: list[dict[str, Any]] = []
        for name, clean in chosen.items():
            for strength in range(STRENGTHS):
                case = f"{name}-{kind}-{strength}"
                made = compose(clean, strength, image_generator(options.seed, case, "composed"))
                start = errors(first_look(method, made.y), made, kind)
                (phi,) = solve(made.y, [case], method).phi
                case_of = {"photo": name, "strength": strength, "family": phi.kind}
                cases.append({**case_of, "start": start, "end": errors(phi, made, kind)})
        families = Counter(case["family"] for case in cases)
        print(f"{kind:<10} {'families':<20} " + ", ".join(f"{family} {n}" for family, n in families.items()))
        rows = _summarized(kind, cases)
        about["kinds"][kind] = {"config": Path(config).stem, "families": families, "quantities": rows, "cases": cases}
    print(f"all numbers: {machine.write(options.name, about)}")
    return 0


def first_look(method: Method, y: Tensor) -> Degradation:
    """A degradation model after ``initialize``, before any learning."""
    import torch

    from zeroair_pl.method.first_look import FirstLook

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    phi = method.degradation()
    phi.initialize(y, {}, FirstLook(method.prior.to(device)))
    return phi


def errors(phi: Degradation, truth: Composed, kind: str) -> dict[str, float]:
    """The errors of φ.

    transmission         mean absolute error
    airlight             mean absolute error over the channels; each by itself is ``airlight r``, ``g``, ``b``
    illumination         mean of |L̂/L − 1|; ``shape``: after the best common factor (in the log)
    gamma                absolute error
    noise ratio          σ̂/σ or σ/σ̂, whichever is above 1
    distance             RMSE between φ(clean) and y in dB below 1, and what the noise allows at most: ``ceiling``
    """
    import torch

    with torch.no_grad():
        maps, sigma, seen = phi.diagnostics(), float(phi.noise_level()), phi(truth.clean)
    found: dict[str, float] = {}
    if kind == "haze":
        t = maps.get("transmission", torch.ones_like(truth.transmission)).mean(1, keepdim=True)
        found["transmission"] = float((t - truth.transmission).abs().mean())
        assert truth.airlight is not None
        # A family without an airlight finds no haze. It counts with the largest error in the mean.
        channels = (maps["airlight"] - truth.airlight).abs().flatten() if "airlight" in maps else torch.ones(3)
        found["airlight"] = float(channels.mean())
        found |= {f"airlight {c}": float(value) for c, value in zip("rgb", channels, strict=True)}
    if kind == "low light":
        light = maps.get("illumination", torch.ones_like(truth.illumination)).mean(1, keepdim=True)
        ratio = light / truth.illumination
        found["illumination"] = float((ratio - 1).abs().mean())
        found["illumination shape"] = float((ratio / ratio.log().mean().exp() - 1).abs().mean())
        found["gamma"] = abs(float(maps.get("gamma", torch.ones(1)).mean()) - truth.gamma)
    found["noise ratio"] = max(sigma / truth.sigma, truth.sigma / sigma)
    distance = -10 * math.log10(float((seen - truth.y).square().mean()))
    ceiling = -10 * math.log10(float((_without_noise(truth) - truth.y).square().mean()))
    found |= {"distance": distance, "distance to ceiling": ceiling - distance}
    return {name: round(value, 4) for name, value in found.items()}


def _without_noise(truth: Composed) -> Tensor:
    seen = (truth.illumination * truth.clean) ** truth.gamma * truth.transmission
    return seen if truth.airlight is None else seen + truth.airlight * (1 - truth.transmission)


def _summarized(kind: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over all cases and by strength, with the goals; prints them."""
    rows = {}
    for quantity in cases[0]["end"]:
        start = _mean([case["start"][quantity] for case in cases])
        end = _mean([case["end"][quantity] for case in cases])
        by_strength = [
            round(_mean([case["end"][quantity] for case in cases if case["strength"] == strength]), 4)
            for strength in range(STRENGTHS)
        ]
        row: dict[str, Any] = {"start": round(start, 4), "end": round(end, 4), "end_by_strength": by_strength}
        said = ""
        if goal := GOALS[kind].get(quantity):
            row |= {"goal": goal.limit, "met": goal.met(end), "reason": goal.reason}
            said = f"{'≥' if goal.at_least else '≤'} {goal.limit:<6g} {'pass' if row['met'] else 'FAIL'}"
        rows[quantity] = row
        print(f"{kind:<10} {quantity:<20} {start:8.3f} {end:8.3f}    {said}".rstrip(), flush=True)
    return rows


def _shrunk(path: Path, side: int) -> Tensor:
    """The photo, (1, 3, H, W), with a long side of at most ``side``; shrinking reduces its own noise."""
    from torch.nn.functional import interpolate

    from zeroair_pl.photos.reading import load_photo

    photo = load_photo(path).pixels[None]
    scale = side / max(photo.shape[-2:])
    if scale >= 1:
        return photo
    size = [max(16, round(scale * length)) for length in photo.shape[-2:]]
    return interpolate(photo, size, mode="bilinear", antialias=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


main = machine.Command(
    measure,
    __doc__,
    option("--photos", type=Path, default=sets.EXAMPLES / "clean", help="folder of clean photos"),
    option("--limit", type=int, help="only so many photos"),
    option("--side", type=int, default=256, help="longest side of a photo, in pixels"),
    option("--config", help="for all kinds, in the place of the preset of each"),
    option("--seed", type=int, default=0, help="of the made-up maps"),
    name="tdm",
)

if __name__ == "__main__":
    raise SystemExit(main())
