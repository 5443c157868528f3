"""Time of one 256×256 photo, split into the prior, TDM, TDG, and the rest.

    python benchmarks/split.py [--config dehaze low_light denoise] [--steps 50] [--repeat 3]

Each config is timed with its own number of steps, and with ``--steps``. The photo is the middle 256×256 pixels of an
example. After a fit to warm up, ``--repeat`` fits are timed, and the one with the median total is reported.

    prior    the prior's forward passes
    TDM      the fit's training step: discriminators and degradation model
    TDG      guidance of the clean estimate and the sampler's step
    rest     everything else: start-up, Lightning, the first look at the photo
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import machine
from clocks import PHOTOS, clock, example, method_of
from machine import option

if TYPE_CHECKING:
    from torch import Tensor

    from zeroair_pl.method.settings import Method


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each fit, and writes the JSON file."""
    fits = []
    print(f"{'config':>10} {'steps':>5} {'total':>7} {'prior':>7} {'TDM':>7} {'TDG':>7} {'rest':>7}   seconds")
    for config in options.config:
        method = method_of(config)
        y = _photo(config, options.side)
        for steps in dict.fromkeys((method.sampling.steps, options.steps)):
            parts = timed(replace(method, sampling=replace(method.sampling, steps=steps)), y, options.repeat)
            print(f"{config:>10} {steps:5d} " + " ".join(f"{seconds:7.2f}" for seconds in parts.values()))
            rounded = {name: round(seconds, 3) for name, seconds in parts.items()}
            fits.append({"config": Path(config).stem, "steps": steps, "seconds": rounded})
    path = machine.write(options.name, {"side": options.side, **machine.described(), "fits": fits})
    print(f"all numbers: {path}")
    return 0


def timed(method: Method, y: Tensor, repeat: int) -> dict[str, float]:
    """Seconds of the median fit: total, prior, TDM, TDG, rest."""
    from zeroair_pl.method.restoration import Restoration
    from zeroair_pl.method.sampling import DiffusionSampling
    from zeroair_pl.method.solve import solve

    fits = []
    for _ in range(repeat + 1):
        spent: dict[str, float] = defaultdict(float)
        with (
            clock(method.prior, "denoise", spent, "prior"),
            clock(Restoration, "training_step", spent, "TDM"),
            clock(DiffusionSampling, "on_train_batch_end", spent, "TDG"),
        ):
            total = solve(y, ["photo"], method).seconds
        parts = {name: spent[name] for name in ("prior", "TDM", "TDG")}
        fits.append({"total": total, **parts, "rest": total - sum(parts.values())})
    middle = statistics.median_low([each["total"] for each in fits[1:]])
    return next(each for each in fits[1:] if each["total"] == middle)


def _photo(config: str, side: int) -> Tensor:
    """(1, 3, side, side): the middle of an example photo with the degradation that the config removes."""
    from zeroair_pl.photos.reading import load_photo

    photo = load_photo(example(config)).pixels
    top, left = (max(0, (length - side) // 2) for length in photo.shape[-2:])
    return photo[None, :, top : top + side, left : left + side].contiguous()


main = machine.Command(
    measure,
    __doc__,
    option("--config", nargs="+", default=list(PHOTOS), help="names or paths of configs"),
    option("--steps", type=int, default=50),
    option("--repeat", type=int, default=3),
    option("--side", type=int, default=256, help="of the photo, in pixels"),
    name="split",
)

if __name__ == "__main__":
    raise SystemExit(main())
