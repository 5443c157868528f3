"""The catalog of known priors: those inside the package, and those published by others. ``fetching`` downloads them.

Sources: the download list and model card of OpenAI's guided-diffusion (MIT license), Dhariwal and Nichol, "Diffusion
Models Beat GANs on Image Synthesis", 2021, arXiv 2105.05233; the model cards of the DDPM pipelines on the Hugging Face
hub, Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", 2020, arXiv 2006.11239.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.paths import at_home

Kind = Literal["bundled", "adm", "hub"]


@dataclass(frozen=True)
class Entry:
    """One known prior.

    Attributes:
        name: the value for ``--prior.path`` after fetching, and the name of its folder.
        kind: ``bundled``: inside the package; ``adm``: a checkpoint of OpenAI's ADM, which must be converted; ``hub``:
            a diffusers pipeline.
        about: what it was trained on.
        license: license of the weights.
        resolution: side of the training images in pixels; ``None`` for a prior for any size.
        parameters: number of parameters of the network.
        source: URL of the checkpoint file, or hub id.
        size: exact length of the file in bytes; ``None`` if it is not known.
        sha256: of the file; ``None`` if it is not known for sure.
        classes: number of classes of a class-conditional network; one class is chosen for a prior.
    """

    name: str
    kind: Kind
    about: str
    license: str
    resolution: int | None = None
    parameters: int | None = None
    source: str = ""
    size: int | None = None
    sha256: str | None = None
    classes: int | None = None

    @property
    def file(self) -> str:
        """Name of the file to download; for a hub pipeline, of its weights file."""
        return self.source.rpartition("/")[2] if self.kind == "adm" else "diffusion_pytorch_model.safetensors"

    @property
    def page(self) -> str:
        """The web page for a manual download."""
        return f"https://huggingface.co/{self.source}/tree/main" if self.kind == "hub" else self.source

    @property
    def bytes(self) -> int | None:
        """Size of the download: the exact size, or about four bytes for each parameter; ``None`` if unknown."""
        return self.size or (4 * self.parameters if self.parameters else None)

    def folder_name(self, class_label: int | None = None) -> str:
        """Name of its folder; each class of a class-conditional network has a separate one."""
        return self.name if class_label is None else f"{self.name}-class{class_label}"


_OPENAI = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/"
_OPENAI_LICENSE = "MIT; for research, says its model card"
_ADM256, _ADM256_CLASSES, _ADM64 = 552_814_086, 553_838_086, 295_904_454
_DDPM256, _DDPM32 = 113_673_219, 35_746_307


def _adm(
    name: str,
    file: str,
    about: str,
    resolution: int = 256,
    parameters: int = _ADM256,
    classes: int | None = None,
    size: int | None = None,
    sha256: str | None = None,
) -> Entry:
    url = _OPENAI + file
    return Entry(name, "adm", about, _OPENAI_LICENSE, resolution, parameters, url, size, sha256, classes)


def _hub(name: str, about: str, resolution: int = 256, parameters: int = _DDPM256) -> Entry:
    return Entry(name, "hub", about, "Apache-2.0", resolution, parameters, f"google/{name}")


_ENTRIES = [
    Entry("small", "bundled", "photographs of all kinds; what is used by default", "Apache-2.0"),
    _adm(
        "adm-256x256-uncond",
        "256x256_diffusion_uncond.pt",
        "ImageNet; the paper's prior",
        size=2_211_383_297,
        sha256="a37c32fffd316cd494cf3f35b339936debdc1576dad13fe57c42399a5dbc78b1",
    ),
    # The size is from a public report. It fits: the unconditional file, 1000 rows of 1024 numbers, 247 bytes of keys.
    _adm("adm-256x256", "256x256_diffusion.pt", "ImageNet", 256, _ADM256_CLASSES, 1000, size=2_215_479_544),
    _adm("adm-64x64", "64x64_diffusion.pt", "ImageNet", 64, _ADM64, 1000),
    _adm("adm-lsun-bedroom", "lsun_bedroom.pt", "LSUN bedrooms"),
    _adm("adm-lsun-cat", "lsun_cat.pt", "LSUN cats"),
    _adm("adm-lsun-horse", "lsun_horse.pt", "LSUN horses"),
    _adm("adm-lsun-horse-nodropout", "lsun_horse_nodropout.pt", "LSUN horses, trained without dropout"),
    _hub("ddpm-celebahq-256", "CelebA-HQ faces"),
    _hub("ddpm-ema-celebahq-256", "CelebA-HQ faces, averaged weights"),
    _hub("ddpm-church-256", "LSUN churches"),
    _hub("ddpm-ema-church-256", "LSUN churches, averaged weights"),
    _hub("ddpm-bedroom-256", "LSUN bedrooms"),
    _hub("ddpm-ema-bedroom-256", "LSUN bedrooms, averaged weights"),
    _hub("ddpm-cat-256", "LSUN cats"),
    _hub("ddpm-ema-cat-256", "LSUN cats, averaged weights"),
    _hub("ddpm-cifar10-32", "CIFAR-10", 32, _DDPM32),
]
CATALOG: Mapping[str, Entry] = {entry.name: entry for entry in _ENTRIES}

# Checkpoints that are published with the ones above, but cannot be used as priors.
UNUSABLE: Mapping[str, str] = {
    "128x128_diffusion": "it has 4 attention heads at every level, which diffusers' UNet2DModel cannot express",
    "512x512_diffusion": "its timestep embedding and first level differ in width, which diffusers' UNet2DModel ties",
    "64_256_upsampler": "it makes a small image larger and is no prior of images",
    "128_512_upsampler": "it makes a small image larger and is no prior of images",
    "64x64_classifier": "it is a classifier and no prior of images",
    "128x128_classifier": "it is a classifier and no prior of images",
    "256x256_classifier": "it is a classifier and no prior of images",
    "512x512_classifier": "it is a classifier and no prior of images",
}


def known(name: str, catalog: Mapping[str, Entry] = CATALOG) -> Entry | None:
    """The entry of that name, of that checkpoint file (with or without ``.pt``), or of that hub id."""
    if name in catalog:
        return catalog[name]
    wanted = name.removesuffix(".pt")
    for entry in catalog.values():
        if (entry.kind == "adm" and entry.file.removesuffix(".pt") == wanted) or (
            entry.kind == "hub" and entry.source == name
        ):
            return entry
    return None


def find(name: str, catalog: Mapping[str, Entry] = CATALOG) -> Entry:
    """The entry for ``name``, in the forms that ``known`` accepts.

    Raises:
        ConfigError: there is none; the message names the nearest and all entries.
    """
    entry = known(name, catalog)
    if entry is not None:
        return entry
    reason = UNUSABLE.get(name.removesuffix(".pt"))
    if reason is not None:
        raise ConfigError(f"{name} cannot be used: {reason}.")
    files = [entry.file.removesuffix(".pt") for entry in catalog.values() if entry.kind == "adm"]
    near = did_you_mean(name, [*catalog, *files])
    raise ConfigError(f"there is no known prior {name!r}.{near} Known: {', '.join(catalog)}.")


def home() -> Path:
    """The folder of the fetched priors: ``$ZEROAIR_HOME/priors``, by default ``~/.cache/zeroair/priors``."""
    return at_home(os.environ.get("ZEROAIR_HOME") or "~/.cache/zeroair") / "priors"


def fetched(name: str) -> Path | None:
    """The folder of a fetched prior, by its name, checkpoint file or hub id; ``None`` if it was not fetched."""
    entry = known(name)
    for candidate in (name, entry.name if entry else ""):
        folder = home() / candidate
        if candidate and Path(candidate).name == candidate and is_prior(folder):
            return folder
    return None


def fetched_names() -> list[str]:
    """Names of the priors in ``home()``."""
    folders = home().iterdir() if home().is_dir() else []
    return sorted(folder.name for folder in folders if folder.suffix != ".part" and is_prior(folder))


def is_prior(folder: Path) -> bool:
    """Whether a folder has the files of a prior: the network's configuration, its weights and a schedule."""
    network = folder / "unet" if (folder / "unet").is_dir() else folder
    schedules = (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json")
    weights = any(network.glob("*.safetensors"))
    return weights and (network / "config.json").is_file() and any(each.is_file() for each in schedules)
