"""Writes a trained prior as a folder that ``restore`` and diffusers load, with its model card."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.ownership import OwnFiles

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    from zeroair_pl.priors.network import DenoisingUNet
    from zeroair_pl.priors.training.module import PriorTraining
    from zeroair_pl.priors.training.photos import Data, Photos

CARD_LEVELS = {0.0392: "5", 0.0784: "10", 0.1176: "15", 0.196: "25", 0.392: "50", 0.784: "100", 1.569: "200"}


FILES = (
    *("prior.json", "README.md", "curve.csv", "scheduler/scheduler_config.json"),
    *("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
)
MARK = "training/config.yaml"  # the settings of a training; the files beside it belong to the training


def schedule() -> DDPMScheduler:
    """The linear schedule of 1000 steps (Ho, Jain & Abbeel, NeurIPS 2020), which the public priors have too.

    So a fraction of the schedule in a config means the same noise level for all of them.
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return DDPMScheduler(1000, beta_start=1e-4, beta_end=0.02, prediction_type="v_prediction", clip_sample=False)


def export(folder: Path, training: PriorTraining, network: DenoisingUNet, facts: dict[str, str]) -> None:
    """Writes ``unet/`` (weights in half precision), ``scheduler/``, ``prior.json`` and the card ``README.md``.

    Each of them is replaced as a whole, so that the folder can be used during the training.

    Args:
        folder: the prior's folder.
        training: the training, with the errors of its last measurement.
        network: the network with averaged weights.
        facts: lines of the card, by name.
    """
    own = OwnFiles(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as place:
        deepcopy(network).half().save_pretrained(Path(place) / "unet")
        schedule().save_pretrained(Path(place) / "scheduler")
        for part in ("unet", "scheduler"):
            for file in sorted((Path(place) / part).iterdir()):
                own.move(file, f"{part}/{file.name}")
    noise, rmse = zip(*((round(k, 5), round(v, 5)) for k, v in training.rmse().items()), strict=True)
    content = {"name": training.prior.name, "calibration": {"noise": noise, "rmse": rmse}}
    own.write("prior.json", (json.dumps(content, indent=2) + "\n").encode())
    own.write("README.md", _card(training, network, facts).encode())
    if training.curve:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(training.curve[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 3) for k, v in row.items()} for row in training.curve)
        own.write("curve.csv", text.getvalue().encode())


def describe(data: Data, photos: Photos, training: PriorTraining, settings: dict[str, Any]) -> dict[str, str]:
    """The lines of the card about the data and the training settings, by name."""
    o = asdict(training.optimization)
    late = f", {data.late_crop}×{data.late_crop} px in the second half" if data.late_crop else ""
    scales = f"{data.smallest_scale:g} to 1 ({data.full_scale:.0%} at 1)"
    laid = "flipped and turned" if data.turned else "flipped"
    return {
        "Data": f"{len(photos)} photographs, {photos.megapixels:.0f} megapixels; {data.held_out} of them held out for "
        "measuring. What they are, and under which license, is for whoever trained this prior to state.",
        "Crops": f"{data.crop}×{data.crop} px{late}, at scales {scales}, {laid}",
        "Recipe": ", ".join(f"{k} {v}" if isinstance(v, str) else f"{k} {v:g}" for k, v in o.items())
        + f"; batch {data.batch} × {settings['devices']}; precision {settings['precision']}",
    }


def _card(training: PriorTraining, network: nn.Module, facts: dict[str, str]) -> str:
    psnr = {CARD_LEVELS[k]: v for k, v in training.psnr().items() if k in CARD_LEVELS}
    size = sum(p.numel() for p in network.parameters())
    done, steps = training.global_step, training.optimization.steps
    lines = [
        f"# {training.prior.name}",
        "",
        "A prior of clean photographs: a denoiser of noisy images at any noise level, of any size, without attention",
        "and without normalization. Made by `zeroair prior train`; used by `--prior.path`.",
        "",
        f"- **Network**: `DenoisingUNet`, {size / 1e6:.2f} million parameters, v-prediction, 1000 linear steps",
        *(f"- **{name}**: {text}" for name, text in facts.items()),
        f"- **State**: {done} of {steps} steps" + ("" if done >= steps else "; the training is not finished"),
        "- **License**: follows from what the weights were trained on; it is for whoever trained them to state.",
        "- **Limits**: E[x | noisy x] of photographs like those above; it invents little, and knows no faces, text or",
        "  medical images. Images are sRGB in [-1, 1].",
        "",
        "Denoising PSNR in dB on the held-out photographs (middle 256×256 px, white Gaussian noise, unclipped, one",
        "pass):",
        "",
        f"| σ (/255) | {' | '.join(psnr)} |",
        f"|---|{'---|' * len(psnr)}",
        f"| PSNR | {' | '.join(f'{value:.2f}' for value in psnr.values())} |",
        "",
    ]
    return "\n".join(lines)


def check(folder: Path) -> None:
    """Checks that the training would not replace files in ``folder`` that no training has written.

    Raises:
        ConfigError: it would; the message names the file.
    """
    OwnFiles(folder).check((*FILES, MARK))
    work = folder / MARK.rpartition("/")[0]
    if not OwnFiles(folder).known(MARK) and work.is_dir() and any(work.iterdir()):
        raise ConfigError(f"{work}: was not written by this program. Move it, or name another --out.")


def forget(folder: Path) -> None:
    """Removes the files of an earlier training in ``folder``, and no others."""
    own, work = OwnFiles(folder), folder / MARK.rpartition("/")[0]
    if own.known(MARK):
        for part in ("photos", "tensorboard"):
            shutil.rmtree(work / part, ignore_errors=True)
        (work / "last.ckpt").unlink(missing_ok=True)
    for name in (*FILES, MARK):
        own.remove(name)
