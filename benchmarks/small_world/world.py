"""The paper's method in a small world, where the true degradation is known exactly.

    python benchmarks/small_world/world.py [--prior FOLDER] [--groups parts gan physics nfe] [--kinds haze] [--scenes 4]

Held-out scenes are degraded with known parameters (pairs.py) and restored by the rows of rows.py. It measures the PSNR
of the result, and the distance between φ(x) of the true scene x and its true degradation, in dB, over the timesteps.
The true scenes are only used for these numbers. After an interruption, the same command continues. Writes
benchmarks/results/NAME.json after every row.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(1, str(Path(__file__).parents[1]))  # the other benchmarks

import machine
from lightning.pytorch import Callback, LightningModule, Trainer
from machine import option

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from pairs import Pair
    from torch import Tensor

    from zeroair_pl.degradations import Degradation

OWN = str(Path(__file__).parent / "prior")
MOMENTS = 12  # number of timesteps at which φ is compared with the truth


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each row, and writes the JSON file."""
    from pairs import pair
    from rows import rows_of

    asked = {"scenes": options.scenes, "size": options.size, "steps": options.steps}
    path = machine.RESULTS / f"{options.name}.json"
    about: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if any(about.get(key, value) != value for key, value in asked.items()):
        raise ConfigError(f"{path.name} holds other scenes, sizes or steps; give --name another name.")
    about |= {**asked, **machine.described()}
    kinds = about.setdefault("kinds", {})
    for kind in options.kinds:
        pairs = [pair(kind, number, options.size) for number in range(options.scenes)]
        entry = kinds.setdefault(kind, {"input": [_psnr(each.y, each.clean) for each in pairs], "rows": {}})
        for title, preset in rows_of(kind, options.prior, options.groups, options.steps):
            if title in entry["rows"] or (options.rows and title not in options.rows):
                continue
            entry["rows"][title] = row = restored(pairs, kind, preset.configs, preset.settings)
            path = machine.write(options.name, about)
            print(f"{kind:<10} {title:<34} {_told(row, entry['input'])}", flush=True)
    print(f"all numbers: {path}")
    return 0


def restored(pairs: list[Pair], kind: str, configs: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
    """The results of one row for all pairs; ``lost`` names the pairs whose fit has diverged.

    They are in one fit if φ allows it: the photos do not influence each other, except by rounding, and it takes half of
    the time.
    """
    import torch

    from zeroair_pl import Method
    from zeroair_pl.errors import DivergenceError
    from zeroair_pl.method.fit import fit

    method = Method.from_config(configs, **settings)
    if len(pairs) > 1 and not method.fresh().batched:
        return _joined([restored([each], f"{kind} {i}", configs, settings) for i, each in enumerate(pairs)])
    watch = Watch(pairs)
    try:
        result = fit(torch.cat([each.y for each in pairs]), [f"{kind} {i}" for i in range(len(pairs))], method, [watch])
    except DivergenceError as error:
        return {"lost": str(error)}
    psnr = [_psnr(x[None], each.clean) for x, each in zip(result.restored, pairs, strict=True)]
    distance = [_distance(phi, each) for phi, each in zip(result.phi, pairs, strict=True)]
    found: dict[str, Any] = {
        "psnr": psnr,
        "distance": distance,
        "nfe": result.nfe[0],
        "seconds": round(result.seconds, 1),
    }
    if result.lost:
        found["lost"] = sorted(result.lost)
    return {**found, "fractions": watch.fractions, "distances": watch.distances}


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The results of fits of one pair each, as those of one fit."""
    if failed := [each for each in rows if "psnr" not in each]:
        return failed[0]
    found = {key: [value for each in rows for value in each[key]] for key in ("psnr", "distance")}
    seconds = round(sum(each["seconds"] for each in rows), 1)
    rest = {"nfe": max(each["nfe"] for each in rows), "seconds": seconds, "fractions": rows[0]["fractions"]}
    moments = zip(*(each["distances"] for each in rows), strict=False)  # a fit may end early
    return {**found, **rest, "distances": [[value for (value,) in each] for each in moments]}


class Watch(Callback):
    """Measures the distance of each φ from the truth at some timesteps of a fit.

    Attributes:
        fractions: t/T of these timesteps.
        distances: for each of them, the distances of all pairs in dB.
    """

    def __init__(self, pairs: list[Pair]) -> None:
        self.pairs, self.fractions, self.distances = pairs, list[float](), list[list[float]]()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % max(1, round(trainer.num_training_batches / MOMENTS)):
            return
        module: Any = pl_module
        self.fractions.append(round(float(module.state.fraction), 4))
        self.distances.append([_distance(phi, each) for phi, each in zip(module.phi, self.pairs, strict=True)])


def _distance(phi: Degradation, truth: Pair) -> float:
    import torch
    import torch.nn.functional as F

    with torch.no_grad():
        border = (phi.shape(truth.y)[0] - truth.y.shape[-2]) // 2  # beyond the photo, which a blur brings into it
        return _psnr(phi(F.pad(truth.clean, [border] * 4, mode="reflect")), truth.without_noise)


def _psnr(x: Tensor, wanted: Tensor) -> float:
    return round(-10 * math.log10(max(float((x - wanted).square().mean()), 1e-10)), 3)


def _told(row: dict[str, Any], given: list[float]) -> str:
    if "psnr" not in row:
        return f"lost: {row['lost']}"
    mean, gain = _mean(row["psnr"]), [a - b for a, b in zip(row["psnr"], given, strict=True)]
    spread = f"gain {_mean(gain):+.2f} ({min(gain):+.2f} to {max(gain):+.2f})"
    return f"{mean:6.2f} dB, {spread}, φ at {_mean(row['distance']):.1f} dB, nfe {row['nfe']}, {row['seconds']:.0f} s"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


main = machine.Command(
    measure,
    __doc__,
    option("--prior", default=OWN, help="folder of the prior of this world; by default the one beside"),
    option("--groups", nargs="+", default=["parts", "gan", "physics", "nfe"]),
    option("--rows", nargs="+", help="only those of these titles"),
    option("--kinds", nargs="+", default=["haze", "low light", "noise", "blur"]),
    option("--scenes", type=int, default=3, help="held-out scenes of each kind"),
    option("--size", type=int, default=32, help="of the scenes, in pixels"),
    option("--steps", type=int, default=100, help="of the paper's preset, which has 1000"),
    name="small_world",
)

if __name__ == "__main__":
    raise SystemExit(main())
