"""Published networks for features; their weights come from a file, or from the caches of their packages."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import torch

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.paths import at_home

Net = Literal["alex", "vgg", "squeeze"]
_NAMES: dict[Net, str] = {"alex": "AlexNet", "vgg": "VGG16", "squeeze": "SqueezeNet 1.1"}


def timm_trunk(trunk: str, weights: str | None) -> Any:
    """The timm model ``trunk``, frozen, which returns its feature maps.

    ``weights`` is a file in timm's or torchvision's format, ``None`` for what timm finds or downloads.

    Raises:
        ConfigError: there is no such model or file, or its weights cannot be loaded.
    """
    import timm

    if not timm.is_model(trunk):
        near = did_you_mean(trunk.split(".")[0], timm.list_models())
        raise ConfigError(f"Perceptual: timm has no model {trunk!r}.{near}")
    own: dict[str, Any] = (
        {} if weights is None else {"pretrained_cfg_overlay": {"file": str(_file(weights, "Perceptual"))}}
    )
    try:
        model = timm.create_model(trunk, pretrained=True, features_only=True, **own)
    except Exception as error:
        if weights is not None:
            raise _unreadable("Perceptual", weights, trunk, error) from error
        raise ConfigError(
            f"Perceptual: the pretrained weights of {trunk!r} cannot be loaded ({type(error).__name__}). "
            "Either use trunk: prior, which needs no download, name their file with 'weights', or run once with a "
            "network so that timm caches them (HF_HOME names the cache, which can be copied)"
        ) from error
    return model.eval().requires_grad_(False)


def lpips_network(net: Net, weights: str | Path | None) -> Any:
    """LPIPS of version 0.1 from the ``lpips`` package, frozen; the weights of the layers on top are inside the package.

    ``weights`` is the file of the trunk's weights as torchvision publishes it, ``None`` for what it finds or downloads.

    Raises:
        ConfigError: there is no such file, or the weights cannot be loaded.
    """
    import lpips

    own = None if weights is None else _file(weights, "Lpips")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision, about the arguments that lpips uses
            network = lpips.LPIPS(net=net, verbose=False, **({} if own is None else {"pnet_rand": True}))
        if own is not None:
            loaded = torch.load(own, map_location="cpu", weights_only=True)
            # lpips cuts the trunk into slices, in which layers keep their numbers: features.3 is slice2.3.
            names = network.net.state_dict()
            network.net.load_state_dict({name: loaded[f"features.{name.partition('.')[2]}"] for name in names})
    except Exception as error:
        if own is not None:
            raise _unreadable("Lpips", own, _NAMES[net], error) from error
        raise ConfigError(
            f"Lpips: the weights of {net!r} cannot be loaded ({type(error).__name__}). Name their file with 'weights', "
            "run once with a network so that torchvision caches them (TORCH_HOME names the cache), or use Perceptual"
        ) from error
    return network.eval().requires_grad_(False)


def _file(path: str | Path, who: str) -> Path:
    found = at_home(path)
    if not found.is_file():
        raise ConfigError(f"{who}: weights is {str(path)!r}, and there is no such file.")
    return found


def _unreadable(who: str, path: str | Path, what: str, error: Exception) -> ConfigError:
    text = " ".join(str(error).split())[:200]
    return ConfigError(f"{who}: {path} cannot be read as the weights of {what!r} ({type(error).__name__}: {text}).")
