"""What the page says about a photo, in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.toys import toy_photo
from zeroair_pl.app.shots import Shot
from zeroair_pl.app.views import found, learned
from zeroair_pl.method.restored import Restored
from zeroair_pl.photos.photo import Photo

X = toy_photo(32, 32)[0]
RESTORED = Restored(Photo(X, "PNG", "rgb"), X, {}, "a.png", "LowLight", 1.6 / 255, 1, 0.1)


@pytest.mark.parametrize(
    "reason, first, left",
    [
        ("96% of darkness: nothing is bright; noise of 3.1 of 255", True, "noise of 1.6 of 255 left after that"),
        ("96% of darkness: nothing is bright", True, "noise of 1.6 of 255 ·"),
        ("noise of 1.6 of 255", False, "noise of 1.6 of 255 ·"),
    ],
)
def test_noise_is_left_only_where_some_was_removed_first(reason: str, first: bool, left: str) -> None:
    shot = Shot("0", Path("a.png"), "a.png", "restored", restored=replace(RESTORED, reason=reason))
    text = found(shot)
    assert left in text
    assert ("96 %" in text) == first


def test_what_was_learned_is_explained() -> None:
    maps: dict[str, Any] = {"Haze transmission": np.full((8, 8), 0.5), "airlight": np.ones(3), "own": np.ones(1)}
    shot = Shot("0", Path("a.png"), "a.png", "restored", restored=replace(RESTORED, diagnostics=maps))
    text = learned(shot)
    assert "low where the haze is thick" in text
    assert "the color of the haze" in text
    assert text.count("<small>") == 2, "a number of a plugin has its name alone"
