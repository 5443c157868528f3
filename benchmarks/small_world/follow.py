"""How far an image may be from what the prior was trained on before its answers fall apart.

    python benchmarks/small_world/follow.py [--prior FOLDER] [--scenes 12]

The paper's guidance adds to x_t, at every step, a multiple of a gradient that is much the same from step to step. So it
moves x_t off the noisy images that the prior knows. This puts a smooth offset o of the root-mean-square a on them,

    x_t = √ᾱ·x_0 + √(1 − ᾱ)·n + a·o,

and measures the share of saturated values of the prior's estimate, and how far the estimate follows: the correlation of
o with the change of the estimate by it. Writes benchmarks/results/small_world_follow.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).parents[1]))  # the other benchmarks

import machine
from machine import option

TIMES, OFFSETS = (600, 700, 800), (0.1, 0.2, 0.3, 0.4, 0.6)
SCENE = 10  # number of the first held-out scene; the comparison has the ones before
GRID = 4  # random values along a side of an offset, between which it is smooth
SATURATED = 0.99


def measure(options: argparse.Namespace) -> int:
    """Prints a table and writes the JSON file."""
    import torch
    import torch.nn.functional as F
    from pairs import pair

    from zeroair_pl.priors import UNetPrior
    from zeroair_pl.tensors.per_image import image_generator

    prior = UNetPrior(options.prior, precision="float32")
    clean = torch.cat([pair("noise", SCENE + i).clean for i in range(options.scenes)])
    g = image_generator(0, "follow", "small world")
    rows: list[dict[str, Any]] = []
    for t in TIMES:
        times = torch.full((len(clean),), float(t))
        alpha_bar = float(prior.alpha_bar(times)[0])
        noisy = alpha_bar**0.5 * (2 * clean - 1) + (1 - alpha_bar) ** 0.5 * torch.randn(clean.shape, generator=g)
        offset = torch.randn(len(clean), 3, GRID, GRID, generator=g)
        offset = F.interpolate(offset, clean.shape[-2:], mode="bicubic")
        offset /= offset.square().mean().sqrt()
        before = prior.predict(noisy, times).x0
        for a in OFFSETS:
            after = prior.predict(noisy + a * offset, times).x0
            saturated = float((after.abs() > SATURATED).float().mean())
            follows = float(torch.cosine_similarity(offset.flatten(), (after - before).flatten(), dim=0))
            rows.append({"t": t, "offset": a, "saturated": round(saturated, 3), "follows": round(follows, 3)})
            print(f"t = {t}, offset {a:.1f}: {100 * saturated:3.0f} % saturated, follows {follows:+.2f}", flush=True)
    path = machine.write(options.name, {"scenes": options.scenes, **machine.described(), "rows": rows})
    print(f"all numbers: {path}")
    return 0


main = machine.Command(
    measure,
    __doc__,
    option("--prior", default=str(Path(__file__).parent / "prior"), help="its folder; by default the one beside"),
    option("--scenes", type=int, default=12, help="held-out scenes"),
    name="small_world_follow",
)

if __name__ == "__main__":
    raise SystemExit(main())
