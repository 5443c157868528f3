"""Unconditional samples of a prior, by DDIM, which show what it knows.

Source: Song, Meng and Ermon, "Denoising Diffusion Implicit Models", 2021, arXiv 2010.02502.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import torch
from torch import Tensor

from zeroair_pl.console import bar
from zeroair_pl.errors import ConfigError, DivergenceError
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.vp import vp_of
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.sampling.schedule import Schedule
from zeroair_pl.tensors.per_image import image_generator, randn

GROUP = 16  # images that are drawn at once


@ranged()
def draw(
    prior: Prior,
    count: Annotated[int, Range(1)] = 16,
    size: Annotated[int, Range(1)] = 64,
    steps: Annotated[int, Range(1)] = 50,
    seed: Annotated[int, Range(0)] = 0,
    device: torch.device | str = "cpu",
    show: bool = True,
) -> Tensor:
    """``count`` images drawn from the prior, (count, 3, size, size) in [0, 1], on the CPU.

    Image k depends only on ``seed``, k, ``size`` and ``steps``; on a CPU to the bit. The noise levels are uniform in t
    from pure noise to clean, and only the first noise is random (η = 0).

    Args:
        prior: on ``device``.
        show: a progress bar.

    Raises:
        ConfigError: a number is not positive, or ``steps`` exceeds what the schedule has.
        DivergenceError: the samples have values that are not finite.
    """
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    vp = vp_of(prior)
    if steps > vp.num_timesteps:
        raise ConfigError(f"--steps is {steps}, and the prior has {vp.num_timesteps} noise levels")
    groups = [range(first, min(first + GROUP, count)) for first in range(0, count, GROUP)]
    drawn: list[Tensor] = []
    with bar(f"sampling {prior.name}", len(groups) * steps, "steps") if show else nullcontext() as tell:
        for group in groups:
            generators = [image_generator(seed, f"sample {k}") for k in group]
            schedule = Schedule(DDIMScheduler(), vp, steps)
            x = schedule.noisy(None, randn((3, size, size), generators, torch.device(device)), schedule.first)
            for done, k in enumerate(schedule.visits, start=len(drawn) // GROUP * steps + 1):
                t = torch.full((len(x),), schedule.prior_t(k), dtype=torch.float64)
                x0, variance = vp.predict(schedule.input(x, k), t)
                x = schedule.step(x0, k, x, variance, generators)
                if tell is not None:
                    tell(done)
            drawn.extend(x.cpu())
    images = torch.stack(drawn)
    if not bool(torch.isfinite(images).all()):
        raise DivergenceError(f"the samples of {prior.name} hold NaN or infinite values; nothing is written")
    return (images.clamp(-1, 1) + 1) / 2
