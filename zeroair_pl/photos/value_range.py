"""Which sample value is white: full scale, or less where a file uses less of it. What lies beyond it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Bits of sensors whose numbers programs store as they are. A photo of 16 bits that stays below 1/16 of full scale is
# all but black to every viewer; one below 1/4, as 14 bits would be, may be a dark photo, so only the tag tells those.
_SENSOR_BITS = (8, 10, 12)
_FEWEST = 32  # levels in use; a photo with fewer is black
_SAMPLED = 1_000_000  # values that the shares are taken from
_MOST, _ALL_BUT_OUTLIERS = 95, 99.9  # percent


def white_of(samples: Array, stated: int | None = None) -> float | None:
    """The value that counts as 1, or None for full scale: the type's largest integer, or 1.0 in float.

    Integers of 16 bits: what the tag MaxSampleValue states, if that is a number of bits and nothing lies above; else
    8, 10 or 12 bits if all values lie within. Float: 1 if 95 % of the values are at most 1, as in scene-linear photos
    with bright lights; else the largest, or the 99.9th percentile where the largest is more than twice as much.

    Args:
        samples: of any shape, finite.
        stated: MaxSampleValue, if the file has it.
    """
    top = float(samples.max())
    if samples.dtype == np.uint16:
        if stated is not None and top <= stated < 65535 and (stated + 1) & stated == 0 and stated >= 255:
            return float(stated)
        return next((2.0**bits - 1 for bits in _SENSOR_BITS if _FEWEST <= top < 2**bits), None)
    if samples.dtype.kind != "f" or top <= 1:
        return None
    flat = samples.reshape(-1)
    most, nearly_all = np.percentile(
        flat[:: max(1, flat.size // _SAMPLED)].astype(np.float64), [_MOST, _ALL_BUT_OUTLIERS]
    )
    if most <= 1:
        return 1.0
    return float(nearly_all) if top > 2 * nearly_all else top


def beyond(samples: Array, white: float) -> tuple[Array, Array] | None:
    """What of ``samples`` lies outside [0, white]: (flat indices, how far), or None."""
    if samples.min() >= 0 and samples.max() <= white:
        return None
    rest = samples - np.clip(samples, 0, samples.dtype.type(white))
    where = np.flatnonzero(rest)
    return where, rest.reshape(-1)[where]


def put_back(samples: Array, rest: tuple[Array, Array] | None) -> Array:
    """``samples``, a restored photo's, with what ``beyond`` took off."""
    if rest is not None:
        samples = np.ascontiguousarray(samples)
        samples.reshape(-1)[rest[0]] += rest[1]
    return samples
