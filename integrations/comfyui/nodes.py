"""A node of ComfyUI that restores photos with zeroair-pl.

It keeps ComfyUI's contract, and needs nothing of ComfyUI itself: images are float tensors (B, H, W, C) in [0, 1], masks
(B, H, W) in [0, 1].
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl import Method
from zeroair_pl.config.files import known_configs, read_config
from zeroair_pl.resources import shipped

MISSING = "inpaint"  # the config whose mask says which pixels are missing


def choices() -> list[str]:
    """The shipped configs that name a degradation."""
    folder = shipped("configs")
    names = [name for name in known_configs() if "/" not in name and (folder / f"{name}.yaml").is_file()]
    return [name for name in names if "degradation" in read_config(folder / f"{name}.yaml").values]


class ZeroAIRRestore:
    """Restores a batch of images, each with a degradation model that is learned from this one image."""

    CATEGORY = "image/restoration"
    FUNCTION = "restore"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("image", "mask")
    DESCRIPTION = "Removes haze, darkness, water, noise, blur and more with a frozen diffusion prior (zeroair-pl)."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        return {
            "required": {
                "image": ("IMAGE",),
                "config": (choices(), {"default": "auto"}),
                "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**32 - 1}),
            },
            "optional": {"mask": ("MASK",)},
        }

    def restore(
        self, image: Tensor, config: str, strength: float, seed: int, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Restores each image of the batch.

        Args:
            image: (B, H, W, C) in [0, 1], with 1, 3 or 4 channels; a fourth is left out.
            config: one of ``choices``.
            strength: share of the correction, 0 to 1.
            seed: of the random numbers.
            mask: (B, H, W) or (1, H, W) in [0, 1]: where to work; elsewhere an image stays as it is, and has no
                influence. With ``inpaint``, what is above ½ is missing.

        Returns:
            The restored images (B, H', W', 3), and where work was done, (B, H', W').
        """
        method = _method(config, seed)
        images, masks = [], []
        for i, one in enumerate(image):
            photo = one[..., :3].expand(*one.shape[:2], 3).permute(2, 0, 1).float().cpu().clamp(0, 1)
            here = None if mask is None else _mask_of(mask[min(i, len(mask) - 1)], (one.shape[0], one.shape[1]))
            if here is not None and not bool((here > 0).any()):  # nothing is to be done
                restored = photo
            elif here is None or config == MISSING:
                side = {"missing": here} if here is not None else None
                restored = method.restore(photo, f"image {i}", side=side).blend(strength).pixels
            else:
                restored = method.restore(photo, f"image {i}", mask=here).blend(strength).pixels
            size = (restored.shape[-2], restored.shape[-1])
            masks.append(torch.ones(size) if here is None else _mask_of(here, size))
            images.append(restored.permute(1, 2, 0))
        return torch.stack(images), torch.stack(masks)


def _mask_of(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask (H, W) in another size, if it has another: ComfyUI gives images without one an empty one of 64×64."""
    mask = mask.float().cpu().clamp(0, 1)
    return mask if tuple(mask.shape) == size else F.interpolate(mask[None, None], size, mode="bilinear")[0, 0]


@lru_cache(maxsize=4)
def _method(config: str, seed: int) -> Method:
    """One method, and so one prior in memory, for as long as a graph asks for the same."""
    return Method.from_config(config, seed=seed)
