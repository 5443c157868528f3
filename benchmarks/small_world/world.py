"""The paper's method in a small world, where the true degradation is known exactly.

    python benchmarks/small_world/world.py [--prior FOLDER] [--groups main physics] [--kinds haze] [--workers 4]

Held-out scenes are degraded with known parameters (pairs.py) and restored by the rows of rows.py. It measures the PSNR
of the result, and the distance between φ(x) of the true scene x and its true degradation, in dB, over the timesteps.
The true scenes are only used for these numbers. After an interruption, the same command continues; with more --scenes,
it adds the new ones to finished rows. Writes benchmarks/results/NAME.json after every row. On a CPU, a row of 1000
steps takes about a minute a scene.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(1, str(Path(__file__).parents[1]))  # the other benchmarks

import machine
from lightning.pytorch import Callback, LightningModule, Trainer
from machine import option

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from pairs import Pair
    from torch import Tensor

    from zeroair_pl import Method
    from zeroair_pl.degradations import Degradation

GROUPS = ("main", "physics", "today", "gan", "terms", "boundaries", "nfe")
EVERYWHERE = ("main", "physics", "today")
OWN = str(Path(__file__).parent / "prior")
MOMENTS = 12  # number of timesteps at which φ is compared with the truth


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each row, and writes the JSON file."""
    asked = {"size": options.size, "steps": options.steps, "estimate": options.estimate, "scale": options.scale}
    path = machine.RESULTS / f"{options.name}.json"
    about: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if any(about.get(key, value) != value for key, value in asked.items()):
        raise ConfigError(f"{path.name} holds another size, other steps or another scale; give --name another name.")
    about |= {**asked, **machine.described()}
    kinds, titles = about.setdefault("kinds", {}), dict[str, list[str]]()
    for work, row in machine.at_once(restored, todo(options, kinds, titles), options.workers):
        entry = kinds[work.kind]
        row = joined(entry["rows"].get(work.title), row)
        rows = {**entry["rows"], work.title: row}
        entry["rows"] = {title: rows[title] for title in (*titles[work.kind], *rows) if title in rows}
        path = machine.write(options.name, about)
        print(f"{work.kind:<10} {work.title:<34} {_told(row, entry['input'])}", flush=True)
    print(f"all numbers: {path}")
    return 0


def todo(options: argparse.Namespace, kinds: dict[str, Any], titles: dict[str, list[str]]) -> Iterator[Work]:
    """Rows, or scenes of rows, that the results ``kinds`` lack; adds kinds to these, and their ``titles`` in order."""
    from pairs import pair
    from rows import rows_of

    for group in options.groups:
        for kind in options.kinds if group in EVERYWHERE else [k for k in options.kinds if k in options.detailed]:
            pairs = [pair(kind, number, options.size) for number in range(options.scenes)]
            entry = kinds.setdefault(kind, {"input": [], "rows": {}})
            entry["input"] = max(entry["input"], [_psnr(each.y, each.clean) for each in pairs], key=len)
            for title, preset in rows_of(kind, options.prior, group, options.steps, options.estimate, options.scale):
                titles.setdefault(kind, []).append(title)
                done = len(entry["rows"][title]["psnr"]) if title in entry["rows"] else 0
                if done < len(pairs) and (not options.rows or title in options.rows):
                    yield Work(kind, title, pairs[done:], done, preset.configs, preset.settings)


class Work(NamedTuple):
    """A row for a kind of degradation, from the scene of the number ``first``."""

    kind: str
    title: str
    pairs: list[Pair]
    first: int
    configs: Sequence[str]
    settings: dict[str, Any]


def restored(work: Work) -> dict[str, Any]:
    """The results of a row for all of its pairs; ``None`` stands for a fit that has diverged.

    An accelerator has them in one fit; on a CPU they are fitted one by one, as rounding depends on the batch.
    """
    import torch

    from zeroair_pl import Method

    torch.set_num_threads(1)
    method = Method.from_config(work.configs, **work.settings)
    names = [f"{work.kind} {work.first + i}" for i in range(len(work.pairs))]
    together = torch.cuda.is_available() and method.fresh().batched
    groups = [list(range(len(names)))] if together else [[i] for i in range(len(names))]
    fits = [_fitted([work.pairs[i] for i in some], [names[i] for i in some], method) for some in groups]
    found = {key: [value for each in fits for value in each[key]] for key in ("psnr", "distance", "lost")}
    return {**{key: values for key, values in found.items() if values}, **_course(fits)}


def joined(before: dict[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
    """A row with the results of the scenes ``before`` it, if there are any."""
    if before is None:
        return row
    parts = [before, row]
    found = {key: [value for each in parts for value in each.get(key, [])] for key in ("psnr", "distance", "lost")}
    return {**{key: values for key, values in found.items() if values}, **_course(parts)}


def _course(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The cost and the distances over the timesteps of several fits, of one or several scenes each."""
    longest = max(parts, key=lambda each: len(each["fractions"]))
    scenes = [
        course for each in parts for course in (list(zip(*each["distances"], strict=True)) or [()] * len(each["psnr"]))
    ]
    return {
        "nfe": max(each["nfe"] for each in parts),
        "seconds": round(sum(each["seconds"] for each in parts), 1),
        "fractions": longest["fractions"],
        "distances": [list(moment) for moment in zip_longest(*scenes)],  # a fit may end early
    }


def _fitted(pairs: list[Pair], names: list[str], method: Method) -> dict[str, Any]:
    """The results of one fit, for each pair of it."""
    import torch

    from zeroair_pl.errors import DivergenceError
    from zeroair_pl.method.fit import fit

    watch = Watch(pairs)
    found: dict[str, Any] = {"nfe": 0, "seconds": 0.0, "fractions": watch.fractions, "distances": watch.distances}
    try:
        result = fit(torch.cat([each.y for each in pairs]), names, method, [watch])
    except DivergenceError as error:
        return {**found, "psnr": [None] * len(pairs), "distance": [None] * len(pairs), "lost": [str(error)]}
    each = list(zip(result.restored, result.phi, pairs, strict=True))
    return {
        **found,
        "psnr": [None if i in result.lost else _psnr(x[None], pair.clean) for i, (x, _, pair) in enumerate(each)],
        "distance": [None if i in result.lost else _distance(phi, pair) for i, (_, phi, pair) in enumerate(each)],
        "lost": [result.lost[i] for i in sorted(result.lost)],
        "nfe": result.nfe[0],
        "seconds": result.seconds,
    }


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
        found = [_distance(phi, each, module.device) for phi, each in zip(module.phi, self.pairs, strict=True)]
        self.distances.append(found)


def _distance(phi: Degradation, truth: Pair, device: torch.device | str = "cpu") -> float:
    import torch
    import torch.nn.functional as F

    with torch.no_grad():
        border = (phi.shape(truth.y)[0] - truth.y.shape[-2]) // 2  # beyond the photo, which a blur brings into it
        x = F.pad(truth.clean, [border] * 4, mode="reflect")
        return _psnr(phi(x.to(device)).cpu(), truth.without_noise)


def _psnr(x: Tensor, wanted: Tensor) -> float:
    return round(-10 * math.log10(max(float((x - wanted).square().mean()), 1e-10)), 3)


def _told(row: dict[str, Any], given: list[float]) -> str:
    gain = [a - b for a, b in zip(row["psnr"], given, strict=False) if a is not None]
    lost = f"{len(row['lost'])} lost, " if "lost" in row else ""
    if not gain:
        return lost
    distance = _mean([value for value in row["distance"] if value is not None])
    spread = f"gain {_mean(gain):+.2f} ({min(gain):+.2f} to {max(gain):+.2f})"
    return f"{lost}{spread}, φ at {distance:.1f} dB, nfe {row['nfe']}, {row['seconds']:.0f} s"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


main = machine.Command(
    measure,
    __doc__,
    option("--prior", default=OWN, help="folder of the prior of this world; by default the one beside"),
    option("--groups", nargs="+", choices=GROUPS, default=[*GROUPS], help="rows of rows.py, in this order"),
    option("--rows", nargs="+", help="only those of these titles"),
    option("--kinds", nargs="+", default=["haze", "low light", "noise", "blur"]),
    option("--detailed", nargs="*", default=["haze"], help=f"kinds that also get groups other than {EVERYWHERE}"),
    option("--scenes", type=int, default=8, help="held-out scenes of each kind"),
    option("--size", type=int, default=64, help="of the scenes, in pixels"),
    option("--steps", type=int, default=1000, help="of the paper's preset"),
    option("--estimate", action="store_true", help="guide the clean estimate instead of the mean, for fewer steps"),
    option("--scale", type=float, default=1.0, help="multiplies the published step of the guidance"),
    option("--workers", type=int, default=1, help="rows at a time, each in a process"),
    name="small_world",
)

if __name__ == "__main__":
    raise SystemExit(main())
