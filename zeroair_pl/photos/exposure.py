"""What a camera noted about the exposure of a photo: the light of the scene, and whether the flash fired."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

_EXIF_IFD = 34665  # the tag of the directory with these tags
_TIME, _F_NUMBER, _ISO, _SHUTTER, _APERTURE, _FLASH = 33434, 33437, 34855, 37377, 37378, 37385
_INDEX = 34866  # the recommended exposure index, if the sensitivity does not fit into 16 bits
_METER = 12.5  # K of ISO 2720, in cd/m²: the usual calibration of a camera's meter


@dataclass(frozen=True)
class Exposure:
    """The exposure of one photo.

    Attributes:
        light: the luminance that the photo shows as a middle gray (18 % of white), in cd/m²: K·N²/(t·S) for the
            f-number N, t seconds and the ISO sensitivity S, with K = 12.5 (ISO 2720). ``None`` if one is not known.
        flash: whether the flash fired.
    """

    light: float | None = None
    flash: bool = False


def exposure_of(exif: bytes | None) -> Exposure | None:
    """The exposure in an EXIF block; ``None`` if it states none, or is damaged.

    Sources: EXIF 3.0 (CIPA DC-008), section 4.6.5; APEX values of shutter and aperture count where the plain ones are
    not given.
    """
    if not exif:
        return None
    try:
        block = Image.Exif()
        block.load(exif)
        tags = block.get_ifd(_EXIF_IFD)
        flash = int(_number(tags, _FLASH) or 0) & 1 == 1
        light = _light(tags)
    except Exception:  # a damaged block or an impossible value raises any exception; the photo can do without it
        return None
    return Exposure(light, flash) if light is not None or flash else None


def _light(tags: Mapping[int, Any]) -> float | None:
    time = _number(tags, _TIME) or _power(tags, _SHUTTER, -1.0)
    f_number = _number(tags, _F_NUMBER) or _power(tags, _APERTURE, 0.5)
    iso = _number(tags, _ISO)
    iso = _number(tags, _INDEX) or iso if iso == 65535 else iso
    light = _METER * f_number**2 / (time * iso) if time and f_number and iso else 0.0
    return light if 0 < light < math.inf else None


def _number(tags: Mapping[int, Any], tag: int) -> float | None:
    """A positive number; ``None`` if the tag is missing, or has another value."""
    value = tags.get(tag)
    try:
        found = float(value[0] if isinstance(value, tuple) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) and found > 0 else None


def _power(tags: Mapping[int, Any], tag: int, factor: float) -> float | None:
    """2 to the power of an APEX value times ``factor``; ``None`` if the tag is missing."""
    try:
        return 2.0 ** (factor * float(tags[tag]))
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
