"""Layout of OpenAI's ADM checkpoints: which network a state dict holds, and where each weight goes in ``UNet2DModel``.

Source: Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021, arXiv 2105.05233, and the keys and
published settings of its released checkpoints (MIT license). Everything here works on names and shapes; no weight is
read.

An ADM network with L levels and n residual blocks a level has L(n+1) ``input_blocks`` and as many ``output_blocks``:
level l begins at input block 1 + l(n+1), and a residual block that halves (or doubles) the size joins two levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zeroair_pl.errors import ConfigError

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
NoiseSchedule = Literal["linear", "cosine"]

NORM_GROUPS = 32  # fixed in the original code
RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ATTENTION = {"group_norm": "norm", "to_q": "qkv", "to_k": "qkv", "to_v": "qkv", "to_out.0": "proj_out"}
QKV_PART = {"to_q": 0, "to_k": 1, "to_v": 2}


@dataclass(frozen=True)
class Architecture:
    """The properties of an ADM network that the shapes of its state dict show.

    ``width`` is num_channels in the original code, which sets the timestep embedding. ``channels`` and ``attention``
    have one entry for each level, finest first. ``out_channels`` is twice ``in_channels`` if the variance is learned.
    ``classes`` is None for an unconditional network.
    """

    width: int
    channels: tuple[int, ...]
    res_blocks: int
    attention: tuple[bool, ...]
    in_channels: int
    out_channels: int
    classes: int | None

    @property
    def multiple(self) -> int:
        """Height and width of an input must be multiples of this many pixels."""
        return int(2 ** (len(self.channels) - 1))


@dataclass(frozen=True)
class Settings:
    """The properties that shapes do not show, with the names of the original code's command-line flags.

    Attributes:
        image_size: side of the training images, in pixels.
        num_head_channels: channels of an attention head.
        use_new_attention_order: rows of ``qkv`` are [q,k,v][head][channel] instead of [head][q,k,v][channel].
        noise_schedule: schedule of the noise, over 1000 steps.
    """

    image_size: int
    num_head_channels: int
    use_new_attention_order: bool = False
    noise_schedule: NoiseSchedule = "linear"


_ADM256 = Architecture(256, (256, 256, 512, 512, 1024, 1024), 2, (False,) * 3 + (True,) * 3, 3, 6, None)
_ADM256_CLASSES = Architecture(256, (256, 256, 512, 512, 1024, 1024), 2, (False,) * 3 + (True,) * 3, 3, 6, 1000)
_ADM64 = Architecture(192, (192, 384, 576, 768), 3, (False,) + (True,) * 3, 3, 6, 1000)
_ADM128 = Architecture(256, (256, 256, 512, 768, 1024), 2, (False,) * 2 + (True,) * 3, 3, 6, 1000)
_ADM512 = Architecture(256, (128, 256, 256, 512, 512, 1024, 1024), 2, (False,) * 4 + (True,) * 3, 3, 6, 1000)

RELEASED: dict[Architecture, Settings] = {
    _ADM256: Settings(image_size=256, num_head_channels=64),  # 256x256_diffusion_uncond and the four LSUN models
    _ADM256_CLASSES: Settings(image_size=256, num_head_channels=64),  # 256x256_diffusion
    _ADM64: Settings(64, 64, use_new_attention_order=True, noise_schedule="cosine"),  # 64x64_diffusion
}
REFUSED: dict[Architecture, str] = {
    _ADM128: "it is 128x128_diffusion, which has 4 attention heads at every level (128, 192 and 256 channels a head), "
    "and diffusers' UNet2DModel has one head width for all levels",
    _ADM512: "it is 512x512_diffusion, whose timestep embedding is 256 wide and first level 128, and diffusers' "
    "UNet2DModel ties the two",
}


def infer_architecture(shapes: Shapes) -> Architecture:
    """The network that a state dict with these shapes belongs to.

    Raises:
        ConfigError: the keys are not those of an ADM diffusion network, or of one that diffusers cannot express.
    """

    def shape(key: str, dimensions: int) -> Shape:
        if key not in shapes:
            raise ConfigError(f"it is not an ADM diffusion network: key {key!r} is missing; it has {some(shapes)}")
        if len(shapes[key]) != dimensions:
            raise ConfigError(f"key {key!r} should have {dimensions} dimensions and has shape {shapes[key]}")
        return shapes[key]

    embedded, width = shape("time_embed.0.weight", 2)
    stem, in_channels = shape("input_blocks.0.0.weight", 4)[:2]
    down, up = _count_blocks(shapes, "input_blocks"), _count_blocks(shapes, "output_blocks")
    if not up:
        raise ConfigError("it is a classifier, not a diffusion network: it has input_blocks and no output_blocks")
    if in_channels != 3:
        raise ConfigError(
            f"it takes {in_channels} input channels, so it is an upsampler conditioned on a small image "
            "(like 64_256_upsampler and 128_512_upsampler) and no prior of images; expected 3"
        )
    plain = [key for key in shapes if key.startswith("input_blocks.") and ".0.op." in key]
    if plain:
        raise ConfigError(f"it resizes by plain convolutions ({some(plain)}); only resblock_updown networks convert")

    growing = [i for i in range(up) if any(f"output_blocks.{i}.{j}.in_layers.2.weight" in shapes for j in (1, 2))]
    per_level = growing[0] + 1 if growing else up
    if per_level < 2 or up % per_level or down != up:
        raise ConfigError(f"its {down} input_blocks and {up} output_blocks do not make whole levels of {per_level}")
    starts = range(1, up, per_level)
    arch = Architecture(
        width=width,
        channels=tuple(shape(f"input_blocks.{i}.0.out_layers.3.weight", 4)[0] for i in starts),
        res_blocks=per_level - 1,
        attention=tuple(f"input_blocks.{i}.1.qkv.weight" in shapes for i in starts),
        in_channels=in_channels,
        out_channels=shape("out.2.weight", 4)[0],
        classes=shape("label_emb.weight", 2)[0] if "label_emb.weight" in shapes else None,
    )
    if arch in REFUSED:
        raise ConfigError(REFUSED[arch])
    if not width == stem == arch.channels[0] or embedded != 4 * width:
        raise ConfigError(
            f"its timestep embedding ({width} to {embedded}) and first level ({stem} channels) differ in width, and "
            f"diffusers' UNet2DModel ties the two ({stem} to {4 * stem})"
        )
    if arch.out_channels not in (3, 6):
        raise ConfigError(f"it has {arch.out_channels} output channels; expected 3, or 6 with a learned variance")
    return arch


def unet_config(arch: Architecture, settings: Settings, *, keep_classes: bool) -> dict[str, Any]:
    """Arguments of the ``UNet2DModel`` that computes what the ADM network does.

    Raises:
        ConfigError: the channels of a level are not a whole number of norm groups or attention heads.
    """
    attended = {c for c, has in zip(arch.channels, arch.attention, strict=True) if has} | {arch.channels[-1]}
    for channels in arch.channels:
        if channels % NORM_GROUPS:
            raise ConfigError(f"it has a level of {channels} channels, not a multiple of its {NORM_GROUPS} norm groups")
        if channels in attended and channels % settings.num_head_channels:
            raise ConfigError(
                f"--num_head_channels {settings.num_head_channels} does not divide the {channels} channels of a level "
                "with attention"
            )
    down = ["AttnDownBlock2D" if has else "ResnetDownsampleBlock2D" for has in arch.attention]
    up = ["AttnUpBlock2D" if has else "ResnetUpsampleBlock2D" for has in reversed(arch.attention)]
    return {
        "sample_size": settings.image_size,
        "in_channels": arch.in_channels,
        "out_channels": arch.out_channels,
        "block_out_channels": arch.channels,
        "layers_per_block": arch.res_blocks,
        "down_block_types": tuple(down),
        "up_block_types": tuple(up),
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": settings.num_head_channels,
        "attn_norm_num_groups": NORM_GROUPS,
        "norm_num_groups": NORM_GROUPS,
        "norm_eps": 1e-5,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "num_class_embeds": arch.classes if keep_classes else None,
    }


def match_keys(arch: Architecture, source: Shapes, target: Shapes, *, keep_classes: bool) -> dict[str, str]:
    """The source key of every target key; strict both ways.

    ``to_q``, ``to_k`` and ``to_v`` share one source, ``qkv``; everything else is one to one.

    Raises:
        ConfigError: a target key has no source, a source key is left over, or two shapes differ; names the keys.
    """
    modules = _modules(arch)
    matched = {}
    for key in target:
        module, _, parameter = key.rpartition(".")
        matched[key] = f"{modules[module]}.{parameter}"
    missing = sorted({key for key in matched.values() if key not in source})
    if missing:
        raise ConfigError(f"{len(missing)} of the keys its network needs are missing: {some(missing)}")
    used = set(matched.values()) | (set() if keep_classes else {"label_emb.weight"})
    left = [key for key in source if key not in used]
    if left:
        raise ConfigError(f"{len(left)} of its keys have no place in its network: {some(left)}")
    wrong = [
        f"{theirs!r} has {source[theirs]}, expected {expected}"
        for ours, theirs in matched.items()
        if source[theirs] != (expected := _source_shape(ours, target[ours]))
    ]
    if wrong:
        raise ConfigError(f"{len(wrong)} shapes do not fit its network: {'; '.join(wrong[:3])}")
    return matched


def some(keys: Iterable[str], limit: int = 4) -> str:
    """The first few keys, quoted, and how many more there are."""
    listed = list(keys)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return (", ".join(repr(key) for key in listed[:limit]) or "no keys") + more


def _count_blocks(shapes: Shapes, name: str) -> int:
    numbers = {key.split(".")[1] for key in shapes if key.startswith(f"{name}.")}
    return len(numbers)


def _source_shape(target_key: str, shape: Shape) -> Shape:
    """Shape in the checkpoint: attention is linear here and a 1x1 ``conv1d`` there, with q, k and v in one tensor."""
    module = target_key.rpartition(".")[0]
    if module.endswith(tuple(QKV_PART)):
        shape = (3 * shape[0], *shape[1:])
    if module.endswith((*QKV_PART, "to_out.0")) and len(shape) == 2:
        shape = (*shape, 1)
    return shape


def _modules(arch: Architecture) -> dict[str, str]:
    """Source module of every target module."""
    residual = {"mid_block.resnets.0": "middle_block.0", "mid_block.resnets.1": "middle_block.2"}
    attention = {"mid_block.attentions.0": "middle_block.1"}
    per_level = arch.res_blocks + 1
    for level in range(len(arch.channels)):
        for block in range(per_level):
            entry, leave = 1 + level * per_level + block, level * per_level + block
            residual[f"down_blocks.{level}.resnets.{block}"] = f"input_blocks.{entry}.0"
            attention[f"down_blocks.{level}.attentions.{block}"] = f"input_blocks.{entry}.1"
            residual[f"up_blocks.{level}.resnets.{block}"] = f"output_blocks.{leave}.0"
            attention[f"up_blocks.{level}.attentions.{block}"] = f"output_blocks.{leave}.1"
        residual[f"down_blocks.{level}.downsamplers.0"] = f"input_blocks.{(level + 1) * per_level}.0"
        # The doubling block comes last in its output block, after the attention where the level has one.
        position = 2 if arch.attention[-1 - level] else 1
        residual[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{(level + 1) * per_level - 1}.{position}"
    modules = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "class_embedding": "label_emb",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    modules |= {f"{t}.{leaf}": f"{s}.{name}" for t, s in residual.items() for leaf, name in RESIDUAL.items()}
    modules |= {f"{t}.{leaf}": f"{s}.{name}" for t, s in attention.items() for leaf, name in ATTENTION.items()}
    return modules
