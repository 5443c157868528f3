"""A prior from a folder that diffusers understands: a ``UNet2DModel``, its schedule, and a small ``prior.json``."""

from __future__ import annotations

import copy
import hashlib
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.adapting import Adaptation, Weights, adapted
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.denoiser import OrDenoiser
from zeroair_pl.priors.folder import (
    Precision,
    autocast,
    load_network,
    read_calibration,
    read_json,
    read_schedule,
    weights_digest,
)
from zeroair_pl.priors.hub.locating import locate
from zeroair_pl.priors.objectives import Estimate
from zeroair_pl.priors.tiling import LEAST_PIXELS, Tiling, padded, trained_size, within_memory
from zeroair_pl.priors.vp import Prediction, VPPrior
from zeroair_pl.ranges import Range


class UNetPrior(OrDenoiser, VPPrior):
    """A diffusers ``UNet2DModel``, or the ``DenoisingUNet`` of ``prior train``, behind the ``Prior`` contract.

    It takes networks that predict ε, v or x0, with 3 or 6 output channels, with or without a space-to-depth stem, and
    images of any size.

        ε:  x0 = (x_t − sqrt(1−ᾱ)·ε) / sqrt(ᾱ)        v:  x0 = sqrt(ᾱ)·x_t − sqrt(1−ᾱ)·v

    Args:
        path: the name of a bundled prior (``small``) or of a fetched one; a folder with ``unet/``, ``scheduler/`` and
            optionally ``prior.json`` (as ``prior convert`` writes it); a folder or hub id of a diffusers pipeline; or
            another kind of denoiser, in a file, a flow-matching or EDM folder, or a function ``module:name``, for which
            a ``DenoiserNetwork`` is made instead.
        precision: arithmetic of the network. ``bfloat16`` halves its time on recent CPUs and GPUs; ``float16`` is for
            GPUs, and much slower than either on most CPUs.
        tile: largest side in pixels of the tiles of large images. By default, a network with attention has tiles of its
            training size; any other network gets images of up to ``pixels_at_once`` whole, and larger ones in tiles of
            at most 896.
        overlap: of neighboring tiles, in pixels; by default a quarter of the tile, at most 64.
        pixels_at_once: number of pixels that the network computes at once, which limits its memory.
        adapt: what a copy of the network learns from each photo before it restores it, ``GainTuning`` for example.
            It takes as long as some hundred passes, and helps for pictures unlike the training photos.

    Raises:
        ConfigError: there is no usable network at ``path``, or the tile size is impossible.
    """

    def __init__(
        self,
        path: str = "small",
        precision: Precision = "bfloat16",
        tile: Annotated[int | None, Range(1)] = None,
        overlap: Annotated[int | None, Range(0)] = None,
        pixels_at_once: Annotated[int, Range(LEAST_PIXELS)] = 2**20,
        adapt: Adaptation | None = None,
    ) -> None:
        self._settings: dict[str, Any] = {
            "path": path, "tile": tile, "overlap": overlap, "pixels_at_once": pixels_at_once, "adapt": adapt
        }  # fmt: skip
        self.adapt = adapt
        folder = locate(path)
        facts = read_json(folder / "prior.json") if (folder / "prior.json").is_file() else {}
        self.name = str(facts.get("name", path))
        self.stem = int(facts.get("space_to_depth", 1))
        self.precision = getattr(torch, precision)
        self.alphas_cumprod, self.prediction_type = read_schedule(folder)
        self.calibration = read_calibration(facts, folder)
        unet = load_network(folder)
        channels = 3 * self.stem**2
        if unet.config.in_channels != channels or unet.config.out_channels not in (channels, 2 * channels):
            raise ConfigError(
                f"prior.path: {folder} maps {unet.config.in_channels} to {unet.config.out_channels} channels; "
                f"expected {channels} to {channels} or {2 * channels} (space_to_depth is {self.stem})"
            )
        if unet.config.get("num_class_embeds") is not None:
            raise ConfigError(
                f"prior.path: {folder} is class-conditional; restoration needs an unconditional prior. "
                "Convert the checkpoint again with --class_label N, which fixes one class"
            )
        self.learned_variance = unet.config.out_channels == 2 * channels
        unet.requires_grad_(False).eval()
        self._weights = weights_digest(unet)
        self.run = self.unet = _cast(unet.to(memory_format=torch.channels_last), self.precision)
        own = getattr(unet, "multiple", None)
        self.multiple = own or self.stem * 2 ** (len(unet.config.down_block_types) - 1)
        self.tiling: Tiling = Tiling(tile, overlap, pixels_at_once, self.multiple, trained_size(unet, self.stem))

    def to(self, device: torch.device | str) -> Prior:
        self.unet.to(device)
        return super().to(device)

    def fingerprint(self) -> str:
        own = f"{super().fingerprint()} {self.prediction_type} {self.stem} {self._weights}"
        return hashlib.sha256(own.encode()).hexdigest()

    def to_float32(self) -> Prior | None:
        if self.precision is torch.float32 or type(self) is not UNetPrior:  # a subclass may have other arguments
            return None
        return UNetPrior(precision="float32", **self._settings)

    def adapted(self, z: Tensor, epsilon: Tensor, generator: torch.Generator) -> Prior:
        if self.adapt is None:
            return self
        own, network = copy.copy(self), copy.deepcopy(self.unet).float()  # small steps get lost in bfloat16
        own.precision = torch.float32

        def estimate(weights: Weights) -> Estimate:
            def run(x: Tensor, sigma: Tensor) -> Tensor:
                t = self.timestep(2 * sigma)
                signal = self.alpha_bar(t).sqrt().to(x)[:, None, None, None]
                own.run = lambda *inputs: functional_call(network, weights, inputs)
                return (own._estimate((2 * x - 1) * signal, t)[0] + 1) / 2

            return run

        weights = adapted(self.adapt, network, estimate, z.to(self.device), epsilon.to(self.device), generator)
        if weights is None:
            return self
        network.load_state_dict(weights, strict=False)
        own.run = own.unet = _cast(network, self.precision)
        own.precision = self.precision
        return own

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        with torch.no_grad():
            return Prediction(*within_memory(self, self._estimate, x_t, t))

    def _estimate(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
        """The clean estimates of whole images or tiles, and the learned variance if there is one."""
        alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
        signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        out, *variance = self._network(x_t, t)
        if self.prediction_type == "v_prediction":
            x0 = signal * x_t - noise * out
        elif self.prediction_type == "epsilon":
            x0 = (x_t - noise * out) / signal
        else:
            x0 = out
        return [x0.clamp(-1, 1), *variance]

    def features(self, x: Tensor) -> list[Tensor]:
        """Outputs of the network's encoder stages at its lowest noise level; (B, C_k, H_k, W_k) each."""
        x, t = self._packed(2 * x - 1), torch.zeros(len(x), device=x.device)
        with autocast(x, self.precision):
            if hasattr(self.unet, "features"):
                return [each.float() for each in self.unet.features(x, t)]
            h, embedding = self.unet.conv_in(x), self.unet.time_embedding(self.unet.time_proj(t))
            found: list[Tensor] = []
            for block in self.unet.down_blocks:
                h, skips = block(hidden_states=h, temb=embedding)
                found.append(skips[0].float())
        return found

    def _network(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
        height, width = x_t.shape[-2:]
        x = self._packed(x_t, self.tiling.least)
        with autocast(x_t, self.precision):
            out = self.run(x.contiguous(memory_format=torch.channels_last), t.to(x_t.device).float()).sample.float()
        outputs = out.split(x.shape[1], dim=1)  # the second, if there is one, is the learned variance
        if self.stem > 1:
            outputs = tuple(F.pixel_shuffle(o, self.stem) for o in outputs)
        return [o[..., :height, :width] for o in outputs]

    def _packed(self, x: Tensor, least: int = 1) -> Tensor:
        """``x``, padded to a size that the network takes, in the blocks that it takes as channels."""
        x = padded(x, self.multiple, least)
        return F.pixel_unshuffle(x, self.stem) if self.stem > 1 else x


def _cast(network: Any, precision: torch.dtype) -> Any:
    """Casts once the weights that autocast would cast at every pass: the same bits in less time."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.to(precision)
    return network
