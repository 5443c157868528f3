"""Tiny networks with random weights, in folders as diffusers writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler


def unet(size: int | None = None, stem: int = 1, out: int = 3, attention: bool = False, **options: Any) -> UNet2DModel:
    """A ``UNet2DModel`` of two levels, for images of ``stem * size`` pixels."""
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=size,
        in_channels=3 * stem**2,
        out_channels=out * stem**2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D" if attention else "DownBlock2D"),
        up_block_types=("AttnUpBlock2D" if attention else "UpBlock2D", "UpBlock2D"),
        **{"attention_head_dim": 8, "add_attention": attention, **options},
    )


def prior_folder(
    path: Path, prediction: str = "epsilon", stem: int = 1, zero_snr: bool = False, **network: Any
) -> Path:
    """A prior with ``unet/``, ``scheduler/`` and ``prior.json``; further arguments are those of ``unet``."""
    unet(stem=stem, **network).save_pretrained(path / "unet")
    DDPMScheduler(prediction_type=prediction, rescale_betas_zero_snr=zero_snr).save_pretrained(path / "scheduler")
    (path / "prior.json").write_text(json.dumps({"name": "tiny", "space_to_depth": stem}))
    return path
