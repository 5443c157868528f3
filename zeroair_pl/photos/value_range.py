"""The sample value that is white: full scale, or less if the file uses less. Values outside the range are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Bits of sensors whose values programs store unscaled in 16 bits. A photo below 1/16 of full scale looks black in
# every viewer, so it is taken for one of 12 bits. One below 1/4 may be dark or of 14 bits; only the tag says which.
_SENSOR_BITS = (8, 10, 12)
_FEWEST = 32  # levels in use; a photo with fewer is black
_SAMPLED = 1_000_000  # values of which percentiles are computed
_MOST, _ALL_BUT_OUTLIERS = 95, 99.9  # percent


def white_of(samples: Array, stated: int | None = None) -> float | None:
    """The sample value that counts as 1; ``None`` for full scale, the largest integer or 1.0 in float.

    Integers of 16 bits: the tag MaxSampleValue, if it is 2^n − 1 and no value is above it. Otherwise 8, 10 or 12 bits,
    if they hold all values. Float: 1 if at least 95 % of the values are at most 1, as in scene-linear photos with
    bright lights. Otherwise the largest value, or the 99.9th percentile if the largest is more than twice that.

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
    """Flat indices of the samples outside [0, white], and how far outside they are; ``None`` if there are none."""
    if samples.min() >= 0 and samples.max() <= white:
        return None
    rest = samples - np.clip(samples, 0, samples.dtype.type(white))
    where = np.flatnonzero(rest)
    return where, rest.reshape(-1)[where]


def put_back(samples: Array, rest: tuple[Array, Array] | None) -> Array:
    """The samples of a restored photo, with what ``beyond`` found added again."""
    if rest is not None:
        samples = np.ascontiguousarray(samples)
        samples.reshape(-1)[rest[0]] += rest[1]
    return samples
