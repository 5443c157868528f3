"""Conversion of an OpenAI ADM checkpoint into a prior folder that diffusers' ``UNet2DModel`` loads.

The pickled file is opened with ``weights_only=True``. Weights are mapped from the file and written one by one, so the
conversion needs memory for the largest tensor, not for the network.

Source: Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021, arXiv 2105.05233.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.paths import sha256_of
from zeroair_pl.priors.hub.adm_layout import (
    QKV_PART,
    RELEASED,
    Architecture,
    Settings,
    Shape,
    infer_architecture,
    match_keys,
    some,
    unet_config,
)
from zeroair_pl.priors.hub.catalog import CATALOG

KNOWN_FILES = {  # name: size in bytes, sha256
    entry.file: (entry.size, entry.sha256) for entry in CATALOG.values() if entry.kind == "adm" and entry.sha256
}


def convert_adm(
    source: Path, out: Path, checksum: str | None = None, class_label: int | None = None, **flags: Any
) -> Path:
    """Writes ``out/unet``, ``out/scheduler`` and ``out/prior.json`` from an ADM checkpoint; all of them or nothing.

    The converted network computes the same as the original, up to rounding.

    Args:
        source: the checkpoint: a plain dict of tensors saved by ``torch.save``.
        out: folder to make; it must not exist, or be empty.
        checksum: expected sha256 of ``source``; by default that of the released file of the same name, if known.
        class_label: for a class-conditional network, the class to fix. Its embedding is added to the bias of the time
            embedding, and the result is an unconditional network. By default it stays class-conditional.
        flags: fields of ``Settings``, which are known for the released checkpoints; ``None`` for what is known.

    Returns:
        ``out``.

    Raises:
        ConfigError: the file is not such a checkpoint, is damaged, has wrong keys or shapes, or has a network that
            ``UNet2DModel`` cannot express. ``out`` is then not changed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists already; name a new folder for the converted prior")
    found_checksum = _verify(source, checksum)
    weights = load_weights(source)
    shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    try:
        arch = infer_architecture(shapes)
        settings = _settings(arch, {name: value for name, value in flags.items() if value is not None})
        if class_label is not None and not 0 <= class_label < (arch.classes or 0):
            expected = f"0 to {arch.classes - 1}" if arch.classes else "none: the network is not class-conditional"
            raise ConfigError(f"--class_label is {class_label}, expected {expected}")
        keep_classes = class_label is None
        unet = _meta_unet(unet_config(arch, settings, keep_classes=keep_classes))
        targets = {key: tuple(tensor.shape) for key, tensor in unet.state_dict().items()}
        keys = match_keys(arch, shapes, targets, keep_classes=keep_classes)
    except ConfigError as error:
        raise ConfigError(f"{source} cannot be converted: {error}") from None

    def converted() -> Iterator[Tensor]:
        for ours, theirs in keys.items():
            tensor = _rows(weights[theirs].float(), ours, targets[ours], settings)
            if class_label is not None and ours == "time_embedding.linear_2.bias":
                tensor = tensor + weights["label_emb.weight"][class_label].float()
            if not torch.isfinite(tensor).all():
                raise ConfigError(f"{source} is damaged: {theirs!r} holds values that are not finite")
            yield tensor

    facts: dict[str, Any] = {
        "name": next((Path(n).stem for n, (_, known) in KNOWN_FILES.items() if known == found_checksum), source.stem),
        "space_to_depth": 1,
        "native_size": settings.image_size,
        "multiple": arch.multiple,
        "source": {"file": source.name, "sha256": found_checksum},
    }
    if arch.classes:
        facts["classes" if keep_classes else "class_label"] = arch.classes if keep_classes else class_label
    with _new_folder(out) as folder:
        unet.save_config(folder / "unet")
        _write_safetensors(folder / "unet" / "diffusion_pytorch_model.safetensors", targets, converted())
        _scheduler(arch, settings).save_config(folder / "scheduler")
        (folder / "prior.json").write_text(json.dumps(facts, indent=2) + "\n")
    return out


def _verify(source: Path, checksum: str | None) -> str:
    """The file's sha256, after comparing it with the one expected."""
    if not source.is_file():
        near = did_you_mean(source.name, [p.name for p in source.parent.iterdir()] if source.parent.is_dir() else [])
        raise ConfigError(f"{source} is {'a folder' if source.is_dir() else 'not there'}; expected a checkpoint.{near}")
    size, known = KNOWN_FILES.get(source.name, (None, None))
    size, expected = (size, known) if checksum is None else (None, checksum.strip().lower())
    if size not in (None, source.stat().st_size):  # a partial download; the check does not read the file
        raise ConfigError(f"{source} has {source.stat().st_size:,} bytes, expected {size:,}; download it again")
    try:
        found = sha256_of(source)
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error}") from error
    if expected not in (None, found):
        raise ConfigError(
            f"{source} has sha256 {found}, expected {expected}; it is damaged or another file of that name"
        )
    return found


def load_weights(source: Path) -> dict[str, Tensor]:
    """The state dict in a pickled weights file, mapped from the file where its format allows.

    Raises:
        ConfigError: the file is truncated, or anything else than a plain dict of floating-point tensors.
    """
    with source.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    if is_zip and not zipfile.is_zipfile(source):
        raise ConfigError(
            f"{source} is truncated: a PyTorch checkpoint whose end is missing; download or copy it again"
        )
    try:
        # Files from before PyTorch 1.6 are not zip archives and cannot be mapped, so they are read whole.
        weights = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # torch may raise any exception for a file that is not a checkpoint
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"{source} is not a PyTorch checkpoint of tensors only: {reason[:200]}") from None
    if not isinstance(weights, dict):
        raise ConfigError(f"{source} holds a {type(weights).__name__}, expected a plain dict of tensors")
    other = [str(k) for k, v in weights.items() if not (isinstance(v, Tensor) and v.is_floating_point())]
    if other or not weights:
        raise ConfigError(f"{source} is not a plain dict of floating-point tensors: see {some(other)}")
    return weights


def _settings(arch: Architecture, flags: dict[str, Any]) -> Settings:
    needed = ("num_head_channels", "image_size")
    for flag in needed:
        if flags.get(flag, 1) < 1:
            raise ConfigError(f"--{flag} is {flags[flag]}, expected a positive number")
    missing = [f"--{flag}" for flag in needed if flag not in flags]
    if arch not in RELEASED and missing:
        raise ConfigError(
            f"it is none of the released networks, and its shapes do not tell {' and '.join(missing)}; "
            "give the values it was trained with"
        )
    return replace(RELEASED[arch], **flags) if arch in RELEASED else Settings(**flags)


def _meta_unet(config: dict[str, Any]) -> Any:
    """The target network on the meta device, without memory for weights: its configuration, keys and shapes."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    with torch.device("meta"):
        return UNet2DModel(**config)


def _scheduler(arch: Architecture, settings: Settings) -> Any:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="linear" if settings.noise_schedule == "linear" else "squaredcos_cap_v2",
        beta_start=1e-4,
        beta_end=0.02,
        prediction_type="epsilon",
        variance_type="learned_range" if arch.out_channels == 2 * arch.in_channels else "fixed_large",
        clip_sample=True,
    )


def _rows(tensor: Tensor, target_key: str, shape: Shape, settings: Settings) -> Tensor:
    """``tensor`` in the target's shape; for q, k and v, their rows of ``qkv``, head by head."""
    part = QKV_PART.get(target_key.split(".")[-2])
    if part is None:
        return tensor.reshape(shape)
    head = settings.num_head_channels
    if settings.use_new_attention_order:
        return tensor.reshape(3, -1, head, *tensor.shape[1:])[part].reshape(shape)
    # A plain split of the rows in three would have the right shapes too, but wrong rows.
    return tensor.reshape(-1, 3, head, *tensor.shape[1:])[:, part].reshape(shape)


def _write_safetensors(path: Path, shapes: dict[str, Shape], tensors: Iterable[Tensor]) -> None:
    """Writes a safetensors file of float32, one tensor at a time; the library's writer needs all tensors at once."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for key, shape in shapes.items():
        end = offset + 4 * prod(shape)
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data must begin at a multiple of 8 bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            file.write(tensor.contiguous().numpy().data)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out``. It is renamed to ``out`` if the block succeeds, and removed otherwise."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.exists():  # it is empty, as checked before; some systems cannot rename onto an existing folder
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
