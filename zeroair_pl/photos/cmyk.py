"""CMYK to RGB for working and back for writing: through the file's own profile, or by plain complement without one."""

from __future__ import annotations

import io

from PIL import Image, ImageCms


def to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK image as sRGB; without a usable profile R = 255 - min(255, C + K) and so on (Pillow's conversion)."""
    both_ways = _transforms(profile)
    return both_ways[0].apply(image) if both_ways else image.convert("RGB")


def to_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An sRGB image as CMYK; without a usable profile C = 255 - R and so on, K = 0, which ``to_rgb`` undoes exactly."""
    both_ways = _transforms(profile)
    return both_ways[1].apply(image) if both_ways else image.convert("CMYK")


def _transforms(profile: bytes | None) -> tuple[ImageCms.ImageCmsTransform, ImageCms.ImageCmsTransform] | None:
    """To and from sRGB, or None unless both exist: different rules for the two directions would shift colors."""
    if not profile:
        return None
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        return (
            ImageCms.buildTransform(inks, srgb, "CMYK", "RGB", intent, flags),
            ImageCms.buildTransform(srgb, inks, "RGB", "CMYK", intent, flags),
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
