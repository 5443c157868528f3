"""Reads a prior's folder: its network, its noise schedule, and its measured errors. And the network's precision."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.base import Calibration
from zeroair_pl.resources import diffusers

Precision = Literal["float32", "bfloat16", "float16"]


def autocast(x: Tensor, precision: torch.dtype) -> AbstractContextManager[Any]:
    """Within it, networks compute in this precision on the device of ``x``."""
    return nullcontext() if precision is torch.float32 else torch.autocast(x.device.type, dtype=precision)


def read_schedule(folder: Path) -> tuple[Tensor, str]:
    """ᾱ of each timestep, (T,), and what the network predicts, from the scheduler's config."""
    library, where = diffusers(), scheduler_file(folder)
    config = read_json(where)
    kind = getattr(library, str(config.get("_class_name", "DDPMScheduler")), library.DDPMScheduler)
    scheduler = kind.from_config(config)
    if not hasattr(scheduler, "alphas_cumprod"):
        raise ConfigError(f"prior.path: {folder} uses {kind.__name__}, which has no variance-preserving schedule")
    prediction = str(config.get("prediction_type", "epsilon"))
    if prediction not in ("epsilon", "v_prediction", "sample"):
        raise ConfigError(
            f"prior.path: {where} has prediction_type {prediction!r}; expected epsilon, v_prediction or sample"
        )
    # A terminal SNR of zero has no logarithm. 2^-24 of the signal's power is equivalent.
    return scheduler.alphas_cumprod.double().cpu().clamp(2**-24, 1 - 2**-24), prediction


def scheduler_file(folder: Path) -> Path:
    """The config of the scheduler, in ``scheduler/`` or in the folder itself, whether it is there or not."""
    where = folder / "scheduler" / "scheduler_config.json"
    return where if where.is_file() else folder / where.name


def network_folder(folder: Path) -> Path:
    """Where the network is: ``unet/``, or the folder itself."""
    return folder / "unet" if (folder / "unet").is_dir() else folder


def read_calibration(facts: dict[str, Any], folder: Path) -> Calibration:
    """The errors in ``prior.json``, whose content is ``facts``; its numbers are for images in [-1, 1]."""
    measured = facts.get("calibration")
    if measured is None:
        return Calibration()
    noise, rmse = measured["noise"], measured["rmse"]
    if len(noise) != len(rmse) or len(noise) < 2 or noise != sorted(noise):
        where = folder / "prior.json"
        raise ConfigError(f"prior.path: {where}: calibration needs two lists of equal length, noise increasing")
    return Calibration(tuple(value / 2 for value in noise), tuple(value / 2 for value in rmse))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"prior.path: {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"prior.path: {path} holds a {type(content).__name__}, expected an object")
    return content


def load_network(folder: Path) -> Any:
    """The network in ``folder`` or in its ``unet/``: a ``UNet2DModel`` of diffusers, or the network of ``prior train``.

    Raises:
        ConfigError: the network cannot be loaded.
    """
    where = network_folder(folder)
    kind: Any
    if read_json(where / "config.json").get("_class_name") == "DenoisingUNet":
        from zeroair_pl.priors.network import DenoisingUNet as kind
    else:
        from diffusers.models.unets.unet_2d import UNet2DModel as kind
    try:
        # Without the first option, diffusers warns at each load that another package is missing.
        return kind.from_pretrained(where, local_files_only=True, low_cpu_mem_usage=False)
    except Exception as error:
        raise ConfigError(f"prior.path: the network in {folder} cannot be loaded: {error}") from error


def weights_digest(network: nn.Module) -> str:
    """sha256 of the names and values of a network's weights."""
    found = hashlib.sha256()
    for name, weights in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(weights.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
