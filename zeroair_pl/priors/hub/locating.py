"""Finds the folder of a prior by its name: inside the package, on disk, fetched, or in the hub."""

from __future__ import annotations

from pathlib import Path

from zeroair_pl.errors import ConfigError, did_you_mean, typed
from zeroair_pl.paths import at_home
from zeroair_pl.priors.hub.catalog import CATALOG, fetched, known

_WEIGHTS = (".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".py")
BUNDLED = Path(__file__).parents[1] / "bundled"


def bundled_priors() -> list[str]:
    """Names of the priors inside the package."""
    return sorted(p.name for p in BUNDLED.iterdir() if (p / "unet").is_dir())


def locate(path: str) -> Path:
    """The local folder of the prior ``path``: bundled, on disk, fetched, or a hub id (cached or downloaded now).

    Raises:
        ConfigError: it is none of these; the message explains what to do.
    """
    if not path.strip():
        raise ConfigError("prior.path: expected a name, a folder or a file, but it is empty")
    if (BUNDLED / path / "unet").is_dir() and "/" not in path:
        return BUNDLED / path
    folder = at_home(path)
    if folder.is_dir():
        if (folder / "config.json").is_file() or (folder / "unet" / "config.json").is_file():
            return folder
        raise ConfigError(f"prior.path: the folder {path} has neither unet/config.json nor config.json")
    if folder.is_file():
        raise ConfigError(
            f"prior.path: {path} is a file; expected a folder. Turn an OpenAI ADM checkpoint into one with: "
            f"{typed(f'prior convert {path} OUT')}"
        )
    if (there := fetched(path)) is not None:
        return there
    if folder.suffix.lower() in _WEIGHTS and known(path) is None:  # a file, and no name of a prior
        raise ConfigError(f"prior.path: there is no file {path}")
    if path.count("/") == 1 and not path.startswith((".", "/", "~")):
        from huggingface_hub import snapshot_download

        try:
            wanted = ["*.json", "*.safetensors"]
            return Path(snapshot_download(path, allow_patterns=wanted))
        except Exception as error:
            reason = f" Tried it as a hub id too: {str(error).splitlines()[0]}."
    else:
        reason = ""
    if (entry := known(path)) is not None:
        raise ConfigError(
            f"prior.path: {path!r} is not here yet.{reason} Get it with: {typed(f'prior fetch {entry.name}')}"
        )
    raise ConfigError(
        f"prior.path: {path!r} is no folder and no bundled prior ({', '.join(bundled_priors())})."
        f"{did_you_mean(path, [*bundled_priors(), *CATALOG])}{reason} Known priors are listed by: "
        f"{typed('prior list')}"
    )
