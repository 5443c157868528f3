"""Missing pixels that a photo shows itself, by their color or their transparency."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.toys import toy_photo
from zeroair_pl.errors import InputError
from zeroair_pl.photos.marked import is_mark, marked
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.side import with_side

HOLE = np.s_[20:30, 40:60]


def photo() -> Photo:
    pixels = toy_photo(64, 80, 0)[0].clamp(0, 0.9)
    pixels[:, HOLE[0], HOLE[1]] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    return Photo(pixels, "PNG", "rgb")


@pytest.mark.parametrize("word", ["#f0f", "#FF00ff", "alpha"])
def test_words_that_are_no_paths(word: str) -> None:
    assert is_mark(word)


@pytest.mark.parametrize("word", ["ff00ff", "#ff00f", "#gg00ff", "masks/#ff00ff", "./alpha", "alpha.png"])
def test_paths(word: str) -> None:
    assert not is_mark(word)


def test_pixels_of_the_color_and_those_next_to_them() -> None:
    expected = torch.zeros(64, 80)
    expected[19:31, 39:61] = 1
    assert torch.equal(marked(photo(), "#f0f")[0, 0], expected)
    near = replace(photo(), pixels=(photo().pixels - 0.03).abs())
    assert torch.equal(marked(near, "#ff00ff")[0, 0], expected), "a JPEG keeps no color exactly"


def test_without_such_pixels_the_nearest_color_is_named() -> None:
    pixels = photo().pixels
    pixels[1, HOLE[0], HOLE[1]] = 0.2
    with pytest.raises(InputError, match=r"no pixel has this color; the nearest is #ff33ff, 40 px .* and 20 px"):
        marked(replace(photo(), pixels=pixels), "#f0f")
    with pytest.raises(InputError, match="no pixel is transparent"):
        marked(photo(), "alpha")


@pytest.mark.parametrize("dtype,top", [("uint8", 255), ("uint16", 65535), ("float32", 1)])
def test_a_transparent_hole_becomes_opaque_and_nothing_else_does(dtype: str, top: float) -> None:
    alpha = np.full((64, 80), top, dtype)
    alpha[HOLE] = 0
    alpha[:5] = 0.8 * top
    found = with_side(replace(photo(), alpha=alpha, dtype=dtype), {"missing": "alpha"})
    assert found.side["missing"].sum() == 200
    assert found.alpha is not None
    assert found.alpha.dtype == dtype
    assert (found.alpha[HOLE] == top).all()
    assert (found.alpha[:5] == alpha[:5]).all()
