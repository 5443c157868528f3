"""The agreement of copies: what follows the pixels agrees, what follows the frame does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.command import scripts

pytestmark = scripts("benchmarks/invariance.py")


def photo() -> np.ndarray:
    rows, columns = np.mgrid[0:60, 0:80]
    return np.stack([3 * rows, 2 * columns, rows + columns], -1).astype(np.uint8)


def test_what_follows_the_pixels_agrees(script: Any) -> None:
    found = script.agreement(photo(), lambda values: 255 - values)
    assert list(found) == ["half", "crop", "jpeg"]
    assert found["crop"] == 99
    assert min(found.values()) > 35


def test_what_follows_the_frame_does_not(script: Any) -> None:
    def centered(values: np.ndarray) -> np.ndarray:
        """Takes the brightness of the first row for that of the light."""
        return np.clip(values.astype(float) - values[0].mean() + 128, 0, 255).astype(np.uint8)

    assert script.agreement(photo(), centered)["crop"] < 32
