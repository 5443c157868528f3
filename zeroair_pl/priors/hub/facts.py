"""The facts about a prior from its folder, without loading the network."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.base import Calibration
from zeroair_pl.priors.folder import network_folder, read_calibration, read_json, read_schedule

DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
SIGMAS = (5, 10, 15, 25, 50, 100, 200)  # standard deviations of white noise, in units of 1/255
CARD_LINES = 24


def facts(folder: Path) -> dict[str, str]:
    """The facts that ``prior info`` shows about the prior in ``folder``, in order: text by name.

    Raises:
        ConfigError: a file of the folder is missing or damaged.
    """
    where = network_folder(folder)
    network = read_json(where / "config.json")
    own = read_json(folder / "prior.json") if (folder / "prior.json").is_file() else {}
    alphas_cumprod, prediction = read_schedule(folder)
    noise = ((1 - alphas_cumprod) / alphas_cumprod).sqrt() * 127.5
    parameters, dtypes = _weights(where)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    packed = int(own.get("space_to_depth", 1))  # done by the prior; a network may also have its own stem
    stem, channels = packed * int(network.get("stem", 1)), 3 * packed**2
    out = int(network.get("out_channels", channels))
    shown = {
        "name": str(own.get("name", folder.name)),
        "folder": str(folder),
        "network": str(network.get("_class_name", "UNet2DModel")),
        "parameters": f"{parameters:,}",
        "on disk": f"{size / 1e6:.1f} MB, weights in {dtypes}",
        "prediction": prediction,
        "learned variance": "yes" if out == 2 * channels else "no",
        "schedule": f"T = {len(noise)}, noise of {noise[0]:.2f} to {noise[-1]:.0f} /255",
        "stem": f"{stem}x{stem} space to depth" if stem > 1 else "none",
        "image size": _size(network, own, stem),
    }
    classes = network.get("num_class_embeds")
    if classes:
        shown["classes"] = f"{classes}; no prior until one is fixed, with prior convert … --class_label N"
    elif "class_label" in own:
        shown["class"] = str(own["class_label"])
    shown["calibration"] = errors(read_calibration(own, folder)) if "calibration" in own else "none of its own"
    return shown


def card(folder: Path) -> list[str]:
    """The lines of the model card's beginning, and of its tables of measurements; empty if there is no card."""
    path = folder / "README.md"
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("---\n"):  # the hub's YAML block
        text = text.partition("\n---")[2]
    paragraphs = [p.strip("\n") for p in text.split("\n\n") if p.strip()]
    first = [p for p in paragraphs if not p.startswith(("#", "|"))][:1]
    lines = [p for p in paragraphs if p in first or p.startswith("|") or p is paragraphs[0]]
    return "\n\n".join(lines).splitlines()[:CARD_LINES]


def _size(network: dict[str, Any], own: dict[str, Any], stem: int) -> str:
    blocks = [*network.get("down_block_types", ()), *network.get("up_block_types", ())]
    attention = any("Attn" in str(block) for block in blocks) or (bool(blocks) and network.get("add_attention", True))
    levels = len(network.get("down_block_types") or network.get("widths") or ()) or 1
    multiple = stem * 2 ** (levels - 1)
    native = own.get("native_size") or network.get("sample_size")
    trained = f"{int(native) * (1 if 'native_size' in own else stem)} px" if isinstance(native, int) else "unknown"
    if attention:
        return (
            f"fixed: attention over the whole image, trained at {trained}; sides are padded to multiples of {multiple}"
        )
    return f"any; sides are padded to multiples of {multiple}"


def errors(calibration: Calibration) -> str:
    """Denoising PSNR at some noise levels: −20 log10(rmse)."""
    errors = calibration.error(torch.tensor([sigma / 255 for sigma in SIGMAS]))
    return (
        ", ".join(f"{-20 * torch.log10(e):.1f} dB at {sigma}" for sigma, e in zip(SIGMAS, errors, strict=True))
        + " /255"
    )


def _weights(folder: Path) -> tuple[int, str]:
    """Number of weights, and their formats, from the headers of the weights files."""
    files = sorted(folder.glob("*.safetensors"))
    whole = [file for file in files if file.name == "diffusion_pytorch_model.safetensors"]
    counts: Counter[str] = Counter()
    for file in whole or files:
        try:
            with safe_open(file, "pt") as weights:
                tensors = [weights.get_slice(name) for name in weights.keys()]  # noqa: SIM118 - it is no dict
                for tensor in tensors:
                    counts[tensor.get_dtype()] += prod(tensor.get_shape())
        except (OSError, SafetensorError) as error:
            size = f"{file.stat().st_size:,} bytes"
            raise ConfigError(f"{file} of {size} is not a complete safetensors file: {error}") from error
    if not counts:
        raise ConfigError(f"{folder} has no weights in safetensors")
    return sum(counts.values()), ", ".join(DTYPES.get(name, name) for name, _ in counts.most_common())
