"""Downloads a known prior and makes its folder, for ``--prior.path NAME``."""

from __future__ import annotations

import shutil
from pathlib import Path

from zeroair_pl import console
from zeroair_pl.errors import ConfigError, typed
from zeroair_pl.paths import at_home
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.priors.folder import network_folder
from zeroair_pl.priors.hub.adm import convert_adm, load_weights
from zeroair_pl.priors.hub.catalog import Entry, home, is_prior
from zeroair_pl.priors.hub.download import DownloadError, download
from zeroair_pl.priors.hub.locating import locate

PIPELINE_FILES = ["config.json", "scheduler_config.json", "unet/*.json", "scheduler/*.json", "README.md", "LICENSE*"]
WEIGHTS = "diffusion_pytorch_model"


def fetch(
    entry: Entry,
    out: Path | None = None,
    *,
    class_label: int | None = None,
    keep: bool = False,
) -> Path:
    """Makes the folder of a known prior, completely or not at all. The next call continues an interrupted one.

    A checkpoint is downloaded beside the folder, converted, and deleted unless it existed before.

    Args:
        entry: from the catalog.
        out: the folder to make; by default the one that ``--prior.path`` finds by the prior's name.
        class_label: the fixed class, for a class-conditional network.
        keep: keep the checkpoint.

    Raises:
        ConfigError: it cannot be fetched; the message explains how to do it by hand.
    """
    if entry.kind == "bundled":
        console.show(f"{entry.name} is inside the package; use it with: --prior.path {entry.name}")
        return locate(entry.name)
    _check_class(entry, class_label)
    name = entry.folder_name(class_label)
    folder = (home() / name) if out is None else at_home(out)
    path = name if out is None else str(out)
    if is_prior(folder):
        console.show(f"{entry.name} is here already, in {folder}; use it with: --prior.path {path}")
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not a prior; name another folder with --out, or delete it")
    try:
        if entry.kind == "hub":
            _fetch_pipeline(entry, folder)
        else:
            _fetch_adm(entry, folder, class_label, keep)
    except DownloadError as error:
        raise DownloadError(f"{error}. {by_hand(entry, folder, class_label)}") from error
    console.show(f"{entry.name} is in {folder}; use it with: --prior.path {path}")
    return folder


def by_hand(entry: Entry, folder: Path, class_label: int | None = None) -> str:
    """Instructions without a network connection: the file to get, its place, and the command to run then."""
    if entry.kind == "hub":
        files = f"config.json, scheduler_config.json and {entry.file}"
        return (
            f"On a machine with a network, get {files} from {entry.page}, put them into {folder}, "
            f"and check them with: {typed(f'prior info {folder}')}"
        )
    checkpoint = folder.parent / entry.file
    label = "" if class_label is None else f" --class_label {class_label}"
    return (
        f"On a machine with a network, get {entry.source}, put it at {checkpoint}, "
        f"and run: {typed(f'prior convert {checkpoint} {folder}{label}')}"
    )


def _check_class(entry: Entry, class_label: int | None) -> None:
    if class_label is None and entry.classes:
        raise ConfigError(
            f"{entry.name} is class-conditional, and restoration needs an unconditional prior. Fix one of its "
            f"{entry.classes} classes with --class_label 0 to {entry.classes - 1}, or fetch another"
        )
    if class_label is not None and not 0 <= class_label < (entry.classes or 0):
        expected = f"0 to {entry.classes - 1}" if entry.classes else f"none: {entry.name} is not class-conditional"
        raise ConfigError(f"--class_label is {class_label}, expected {expected}")


def _fetch_adm(entry: Entry, folder: Path, class_label: int | None, keep: bool) -> None:
    checkpoint = folder.parent / entry.file
    own = not checkpoint.exists()  # a checkpoint that existed before is not deleted
    if own:
        download(entry.source, checkpoint, size=entry.size, sha256=entry.sha256)
        try:
            load_weights(checkpoint)
        except ConfigError as error:  # such as the error page of a proxy
            checkpoint.unlink()
            raise DownloadError(f"{entry.source} gave no checkpoint, and it is deleted: {error}") from error
    console.show(f"converting {checkpoint}")
    convert_adm(checkpoint, folder, checksum=entry.sha256, class_label=class_label)
    if own and not keep:
        checkpoint.unlink()
    else:
        console.show(f"{checkpoint} is kept")


def _fetch_pipeline(entry: Entry, folder: Path) -> None:
    # The name is fixed, unlike other temporary names, so that the next call finds the partial download.
    partial = folder.with_name(folder.name + ".part")
    _snapshot(entry, partial, [*PIPELINE_FILES, f"**{WEIGHTS}.safetensors"])
    network = network_folder(partial)
    if not (network / f"{WEIGHTS}.safetensors").is_file():  # older repositories only have pickled weights
        _snapshot(entry, partial, [f"**{WEIGHTS}.bin"])
        pickled = network / f"{WEIGHTS}.bin"
        if pickled.is_file():
            from safetensors.torch import save

            write_atomically(network / f"{WEIGHTS}.safetensors", save(load_weights(pickled), {"format": "pt"}))
            pickled.unlink()
    if not is_prior(partial):
        found = ", ".join(sorted(path.name for path in partial.iterdir() if path.is_file())) or "nothing"
        raise DownloadError(f"{entry.source} cannot be downloaded completely; what came is {found}")
    try:
        shutil.rmtree(partial / ".cache", ignore_errors=True)  # files of the client for its next call
        if folder.exists():  # it is empty, as checked before; some systems cannot rename onto an existing folder
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error}") from error


def _snapshot(entry: Entry, folder: Path, files: list[str]) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(entry.source, local_dir=folder, allow_patterns=files)
    except Exception as error:  # the client may raise any exception: no network, no such repository, a full disk
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DownloadError(f"{entry.source} cannot be downloaded: {reason.rstrip('.')}") from error
