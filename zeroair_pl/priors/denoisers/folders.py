"""Folders of diffusers whose network was not trained on a variance-preserving noise schedule.

    flow matching   x_s = (1 − s)·x_0 + s·ε,   the network predicts ε − x_0;    s = σ/(1 + σ)
    EDM             x_σ = x_0 + σ·ε,           x_0 = c_skip·x + c_out·F(c_in·x, log(σ)/4)

with x_0 in [-1, 1] and σ in its units. Sources: Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023;
Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", NeurIPS 2022.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.denoisers.base import Denoiser
from zeroair_pl.priors.folder import load_network, read_json, scheduler_file, weights_digest
from zeroair_pl.priors.tiling import trained_size


def kind_of(folder: Path) -> str:
    """``"flow"`` or ``"edm"``, by the folder's scheduler; empty if it is neither."""
    where = scheduler_file(folder)
    name = str(read_json(where).get("_class_name", "")) if where.is_file() else ""
    return "flow" if name.startswith("FlowMatch") else "edm" if name.startswith("EDM") else ""


def from_folder(folder: Path) -> Denoiser:
    """The denoiser in a folder for which ``kind_of`` is not empty.

    Raises:
        ConfigError: the network cannot be loaded, or does not map 3 channels to 3.
    """
    config, kind, network = read_json(scheduler_file(folder)), kind_of(folder), load_network(folder)
    channels = network.config.in_channels, network.config.out_channels
    if channels != (3, 3) or network.config.get("num_class_embeds") is not None:
        more = " and classes" if network.config.get("num_class_embeds") is not None else ""
        raise ConfigError(f"prior.path: {folder} maps {channels[0]} to {channels[1]} channels{more}; expected 3 to 3")
    network.requires_grad_(False).eval()
    make = _flow if kind == "flow" else _edm
    levels = getattr(network, "multiple", None) or 2 ** (len(network.config.down_block_types) - 1)
    digest = hashlib.sha256(f"{sorted(config.items(), key=str)} {weights_digest(network)}".encode()).hexdigest()
    words = "flow matching" if kind == "flow" else "EDM"
    return Denoiser(folder.name, make(network, config), digest, network, levels, trained_size(network, 1),
                    f"{words}, a folder of diffusers")  # fmt: skip


def _flow(network: Any, config: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    steps = float(config.get("num_train_timesteps", 1000))

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        s = (2 * sigma / (1 + 2 * sigma)).to(x)
        share = s[:, None, None, None]
        shown = (1 - share) * (2 * x - 1)
        return (shown - share * network(shown, s * steps).sample.to(x) + 1) / 2

    return denoise


def _edm(network: Any, config: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    data, prediction = float(config.get("sigma_data", 0.5)), config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction"):
        raise ConfigError(f"prior.path: the EDM prediction_type is {prediction!r}; expected epsilon or v_prediction")
    sign = 1.0 if prediction == "epsilon" else -1.0

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        level = (2 * sigma).to(x)
        noise = level[:, None, None, None]
        both = noise.square() + data**2
        found = network((2 * x - 1) / both.sqrt(), level.log() / 4).sample.to(x)
        x0 = data**2 / both * (2 * x - 1) + sign * noise * data / both.sqrt() * found
        return (x0 + 1) / 2

    return denoise
