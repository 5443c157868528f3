"""The time of fits on a GPU, for gpu_check.py, with any prior and with a network of ADM's size with random weights."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clocks

if TYPE_CHECKING:
    from torch import Tensor

    from zeroair_pl.method.settings import Method
    from zeroair_pl.priors import UNetPrior
    from zeroair_pl.priors.hub.adm_layout import Architecture, Settings

ADM_STEPS = 4


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
