"""Batches on a GPU, for throughput.py, with the bundled prior, and with a network of ADM's size with random weights."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clocks
import machine
from clocks import crops, goal, layers, restored

if TYPE_CHECKING:
    from torch import Tensor

    from zeroair_pl.method.settings import Method
    from zeroair_pl.priors import UNetPrior
    from zeroair_pl.priors.hub.adm_layout import Architecture, Settings

FASTER = 6.0  # goal: photos per minute of ``AT_ONCE`` at once, relative to one at a time
AT_ONCE = 16
ADM_STEPS = 4
ADM_MOST = 4  # most photos at once with the network of ADM's size


def gpu(options: argparse.Namespace) -> dict[str, Any] | None:
    """The section of the GPU; ``None`` without a GPU."""
    import torch

    from zeroair_pl.priors.hub.adm_layout import RELEASED

    if not torch.cuda.is_available():
        return None
    adm = next(item for item in RELEASED.items() if item[0].width == 256 and item[0].classes is None)
    return on(options, "cuda", adm)


def on(options: argparse.Namespace, device: str, adm: tuple[Architecture, Settings]) -> dict[str, Any]:
    """The section for a ``device``, with a network of the layout ``adm``."""
    import torch

    from zeroair_pl.photos.reading import load_photo

    photos = options.photos or max(options.gpu_batch)
    trainer = {"accelerator": {"cuda": "gpu"}.get(device, device)}
    method = clocks.method_of(*layers(options.config))
    plain: dict[str, Any] = {"tensorboard": False, "strips": False, "trainer": trainer}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = crops(layers(options.config), options.side, max(photos, *options.gpu_batch), folder / "photos")
        y = torch.stack([load_photo(path).pixels for path in files])
        lists: list[list[float]] = [[] for _ in options.gpu_batch]
        for turn in range(options.repeat + 1):  # the first one is a warm-up
            for seconds, batch in zip(lists, options.gpu_batch, strict=True):
                run = restored(files[:photos], layers(options.config), folder / f"{turn}-{batch}", batch=batch, **plain)
                seconds.append(run.seconds)
        rows = [fits(method, y[:batch], device, options.repeat) for batch in options.gpu_batch]
        for row, seconds in zip(rows, lists, strict=True):
            row["list_per_minute"] = round(60 * photos / statistics.median(seconds[1:]), 1)
        large = with_prior(method, random_network(folder / "adm", *adm))
        network = sum(p.numel() for p in large.prior.unet.parameters())
        method.prior.to("cpu")
        few = [batch for batch in options.gpu_batch if batch <= ADM_MOST]
        adm_rows = [{**fits(large, y[:batch], device, options.repeat), "list_per_minute": None} for batch in few]
    goals = []
    by_batch = {row["batch"]: row for row in rows}
    if {1, AT_ONCE} <= set(by_batch):
        for what, key in (("fits", "fit_per_minute"), ("whole restorations", "list_per_minute")):
            ratio = round(by_batch[AT_ONCE][key] / by_batch[1][key], 2)
            goals.append(goal(f"{AT_ONCE} at once over one at a time, {what}", ratio, FASTER))
    rows = [{"prior": method.prior.name, **row} for row in rows] + [{"prior": "ADM, random", **row} for row in adm_rows]
    about = {"config": machine.title_of(options.config), "photos": photos, "side": options.side}
    return {**about, "repeat": options.repeat, "adm_parameters": network, "rows": rows, "goals": goals}


def fits(method: Method, y: Tensor, device: str, repeat: int) -> dict[str, Any]:
    """Median seconds of a fit of the photos ``y``, and of the same number of forward passes of the prior alone.

    ``share`` is the time of the passes divided by that of the fit.
    """
    import numpy as np
    import torch

    from zeroair_pl.method.solve import solve

    names = [str(i) for i in range(len(y))]
    trainer = {"accelerator": {"cuda": "gpu"}.get(device, device)}
    method.prior.to(device)
    x, sigma = y.to(device), torch.full((len(y),), 0.1)
    passes = 0

    def whole() -> None:
        nonlocal passes
        passes = int(np.max(solve(y, names, method, trainer=trainer).nfe))

    def alone() -> None:
        for _ in range(passes):
            method.prior.denoise(x, sigma)

    took = [(_seconds(whole, device), _seconds(alone, device)) for _ in range(repeat + 1)][1:]
    fitted, forward = (statistics.median(each) for each in zip(*took, strict=True))
    row = {"batch": len(y), "passes": passes, "fit_s": round(fitted, 3), "forward_s": round(forward, 3)}
    shares = statistics.median(f / whole for whole, f in took)
    return {**row, "share": round(shares, 3), "fit_per_minute": round(60 * len(y) / fitted, 1)}


def with_prior(method: Method, prior: UNetPrior) -> Any:
    """The method with another prior and a few steps; the prior only gets images of the photo's own size."""
    from zeroair_pl.sampling import NoiseMatchedSampler

    # Without posterior means: their last passes are of shifted images, which padding makes larger than that size.
    sampler = NoiseMatchedSampler(posterior_mean=False)
    return replace(method, prior=prior, sampling=replace(method.sampling, steps=ADM_STEPS, sampler=sampler))


def random_network(folder: Path, layout: Architecture, settings: Settings) -> UNetPrior:
    """A prior in bf16 with random weights. Its last layer is zero, as before training, so that no fit diverges."""
    import torch
    from diffusers import DDPMScheduler, UNet2DModel

    from zeroair_pl.priors import UNetPrior
    from zeroair_pl.priors.hub.adm_layout import unet_config

    torch.manual_seed(0)
    unet: Any = UNet2DModel(**unet_config(layout, settings, keep_classes=False))
    for parameter in unet.conv_out.parameters():
        parameter.data.zero_()
    unet.save_pretrained(folder / "unet")
    scheduler: Any = DDPMScheduler()
    scheduler.save_pretrained(folder / "scheduler")
    return UNetPrior(str(folder), "bfloat16")


def _seconds(work: Callable[[], None], device: str) -> float:
    began = clocks.now(device)
    work()
    return clocks.now(device) - began
