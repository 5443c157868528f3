"""Denoisers in files: a checkpoint of a known architecture, TorchScript, ONNX. No file is unpickled."""

from __future__ import annotations

import hashlib
import importlib
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from zeroair_pl.errors import ConfigError, typed
from zeroair_pl.priors.denoisers.base import EXPECTED, Convention, Denoiser, convention
from zeroair_pl.priors.folder import read_json

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")
NESTED = ("params_ema", "params", "state_dict", "model")  # keys under which files store their tensors


def from_file(path: Path) -> Denoiser:
    """The denoiser in a file.

    A checkpoint of a network that takes a map of the noise level as a fourth channel (DRUNet) needs no other file.
    Other checkpoints, TorchScript and ONNX need their ``Convention`` in ``NAME.json`` beside the file.

    Raises:
        ConfigError: the file, its convention or a package is missing, or the file has no such network.
    """
    if path.suffix.lower() == ".onnx":
        return _onnx(path)
    if path.suffix.lower() not in CHECKPOINTS:
        known = ", ".join((*CHECKPOINTS, ".onnx"))
        if path.suffix.lower() == ".py":
            raise ConfigError(f"prior.path: {path}: name the function in it, as in {path}:denoise")
        raise ConfigError(f"prior.path: {path} is a file; expected a folder, or a file of a denoiser: {known}.")
    return _torchscript(path) if _is_torchscript(path) else _checkpoint(path)


def _checkpoint(path: Path) -> Denoiser:
    tensors, spandrel = _tensors(path), _package("spandrel", path)
    try:
        found: Any = spandrel.ModelLoader().load_from_state_dict(tensors)
    except Exception as error:  # the loader may raise any exception for an unknown or damaged file
        raise ConfigError(
            f"prior.path: {path} holds no network that spandrel knows ({type(error).__name__}). {_adm(path)}"
        ) from None
    name, network = str(found.architecture.name), found.model
    stated = _stated(path)
    first = next((m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 0)
    if stated is None and not (found.scale == 1 and found.output_channels == 3 and first == 4):
        raise ConfigError(
            f"prior.path: {path} is a {name} of {first} to {found.output_channels} channels, without an input for the "
            f"noise level; a prior needs one. State one of another kind in {_beside(path).name}; {EXPECTED}"
        )
    how = stated or Convention(multiple=max(8, int(found.size_requirements.multiple_of)))
    return _of(network, how, path, f"{name}, a checkpoint")


def _torchscript(path: Path) -> Denoiser:
    how = _needed(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch now prefers another format
            network = torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        raise ConfigError(f"prior.path: {path} cannot be loaded as TorchScript: {_reason(error)}") from None
    return _of(network, how, path, "TorchScript")


def _onnx(path: Path) -> Denoiser:
    how, runtime = _needed(path), _package("onnxruntime", path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConfigError(f"prior.path: {path} cannot be loaded as ONNX: {_reason(error)}") from None
    names, wanted = [each.name for each in session.get_inputs()], 1 if how.noise == "map" else 2
    if len(names) != wanted:
        inputs = ", ".join(names)
        raise ConfigError(f"prior.path: {path} has the inputs {inputs}; with noise {how.noise!r} expected {wanted}")

    def network(*inputs: Tensor) -> Tensor:
        arrays = {name: each.float().cpu().numpy() for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return Denoiser(path.stem, lambda x, sigma: how.apply(network, x, sigma), digest_of(path),
                    multiple=how.multiple, kind="ONNX")  # fmt: skip


def _of(network: Any, how: Convention, path: Path, kind: str) -> Denoiser:
    network.eval()
    for each in network.parameters():
        each.requires_grad_(False)
    return Denoiser(path.stem, lambda x, sigma: how.apply(network, x, sigma), digest_of(path), network,
                    how.multiple, kind=kind)  # fmt: skip


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(
            f"prior.path: {path} is no checkpoint of tensors only: {_reason(error)}. {_adm(path)}"
        ) from None
    for name in NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not any(isinstance(each, Tensor) for each in found.values()):
        raise ConfigError(f"prior.path: {path} holds no tensors by name, which a checkpoint of a network has")
    return {str(key).removeprefix("module."): each for key, each in found.items() if isinstance(each, Tensor)}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _stated(path: Path) -> Convention | None:
    beside = _beside(path)
    return convention(read_json(beside), f"prior.path: {beside}") if beside.is_file() else None


def _needed(path: Path) -> Convention:
    found = _stated(path)
    if found is None:
        raise ConfigError(
            f"prior.path: {path} does not say how it takes the noise level; state that in {_beside(path).name}, "
            f"beside it: {EXPECTED}"
        )
    return found


def digest_of(path: Path) -> str:
    """sha256 of a file and of its convention file, if there is one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256")
    if _beside(path).is_file():
        found.update(_beside(path).read_bytes())
    return found.hexdigest()


def _adm(path: Path) -> str:
    return f"An OpenAI ADM checkpoint becomes a folder with: {typed(f'prior convert {path} OUT')}"


def _package(name: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"prior.path: {path} needs the package {name}; get it with: pip install 'zeroair-pl[denoisers]'"
        ) from None


def _reason(error: Exception) -> str:
    if "Weights only load failed" in str(error):  # a page of advice on how to run what the file says
        return "it holds pickled objects; save the state_dict of the network, or TorchScript"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
