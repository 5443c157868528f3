"""``python cli.py prior …``: the priors that restorations draw on."""

from __future__ import annotations

from pathlib import Path

from zeroair_pl.priors.adm_layout import NoiseSchedule


def convert(
    checkpoint: Path,
    out: Path,
    checksum: str | None = None,
    class_label: int | None = None,
    num_head_channels: int | None = None,
    image_size: int | None = None,
    use_new_attention_order: bool | None = None,
    noise_schedule: NoiseSchedule | None = None,
) -> Path:
    """Turn an OpenAI guided-diffusion (ADM) checkpoint into a folder that ``restore --prior`` and diffusers load.

    The released 256x256_diffusion_uncond.pt, 256x256_diffusion.pt, 64x64_diffusion.pt and lsun_*.pt need no option. The
    last four are for other networks: the flags of the same names that they were trained with.

    Args:
        checkpoint: the downloaded .pt file. It is opened with weights_only, so nothing in it can run.
        out: the folder to make. It is written whole or not at all.
        checksum: sha256 that the file must have. Known already for 256x256_diffusion_uncond.pt.
        class_label: class-conditional networks only: the class to fix, which makes the network unconditional.
        num_head_channels: channels of an attention head.
        image_size: side of the training images in pixels.
        use_new_attention_order: the order of the attention's rows.
        noise_schedule: the schedule of the noise.

    Returns:
        The folder.
    """
    from zeroair_pl.priors.adm import convert_adm

    convert_adm(
        checkpoint,
        out,
        checksum=checksum,
        class_label=class_label,
        num_head_channels=num_head_channels,
        image_size=image_size,
        use_new_attention_order=use_new_attention_order,
        noise_schedule=noise_schedule,
    )
    print(f"{checkpoint} is converted; use it with: --prior.path {out}")
    return out
