"""Builds a diffusers scheduler that visits given noise levels."""

from __future__ import annotations

import inspect
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin


def respaced(template: SchedulerMixin, betas: list[float]) -> tuple[Any, str]:
    """A scheduler of the template's class and settings that visits the given levels, from noisy to clean.

    Args:
        template: settings that would move the levels or change the clean estimate are replaced.
        betas: of the levels to visit, from clean to noisy.

    Returns:
        The scheduler with its timesteps set, and the form of the estimate that its ``step`` takes: ``sample``, the
        clean image, or ``epsilon`` for the few classes without that.

    Raises:
        ConfigError: the class cannot be built on these levels, or cannot step from a clean estimate.
    """
    kind: Any = type(template)
    accepted = inspect.signature(kind.__init__).parameters
    advice = "use for example DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler or UniPCMultistepScheduler"
    if "trained_betas" not in accepted:
        raise ConfigError(
            f"sampling.sampler: {kind.__name__} cannot be built on a prior's noise levels (it has no trained_betas); "
            f"{advice}"
        )
    settings, reason = dict(getattr(template, "config", {})), None
    for predicts in ("sample", "epsilon"):
        forced: dict[str, Any] = {
            "num_train_timesteps": len(betas),
            "trained_betas": betas,
            "prediction_type": predicts,
            "clip_sample": False,
            "thresholding": False,
            "timestep_spacing": "trailing",
            "steps_offset": 0,
            "rescale_betas_zero_snr": False,
            "set_alpha_to_one": True,
            "original_inference_steps": len(betas),
        }
        config = {k: v for k, v in settings.items() if k in accepted}
        config |= {k: v for k, v in forced.items() if k in accepted}
        try:
            _rehearse(_visiting(kind(**config), len(betas)))
            return _visiting(kind(**config), len(betas)), predicts
        except Exception as error:
            reason = str(reason or error)
    raise ConfigError(f"sampling.sampler: {kind.__name__} cannot be guided on given noise levels ({reason}); {advice}")


def _visiting(scheduler: Any, steps: int) -> Any:
    """``scheduler``, set to visit all of its ``steps`` training timesteps, from noisy to clean."""
    wanted = list(range(steps - 1, -1, -1))
    scheduler.set_timesteps(steps)
    if _whole(scheduler.timesteps) != wanted and "timesteps" in inspect.signature(scheduler.set_timesteps).parameters:
        scheduler.set_timesteps(timesteps=wanted)
    if _whole(scheduler.timesteps) != wanted:
        raise ValueError(f"of {steps} levels it visits {_whole(scheduler.timesteps)}")
    return scheduler


def _whole(timesteps: Tensor) -> list[int]:
    # Second-order solvers visit a level twice, or a point between two.
    return [int(k) for k, _ in groupby(timesteps.tolist()) if k == int(k)]


def _rehearse(scheduler: Any) -> None:
    """Takes a few steps on a tiny image, since a class may not state what it does not support."""
    extras = {"generator": torch.Generator()} if "generator" in inspect.signature(scheduler.step).parameters else {}
    channels = 6 if getattr(scheduler.config, "variance_type", "") in ("learned_range", "learned") else 3
    x = torch.zeros(1, 3, 8, 8)
    for k in scheduler.timesteps[:4]:
        scheduler.scale_model_input(x, k)
        x = scheduler.step(torch.zeros(1, channels, 8, 8), k, x, **extras).prev_sample
