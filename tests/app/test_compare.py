"""The part of a photo that is shown at 100 %."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.toys import toy_photo
from zeroair_pl.app.compare import Zoom, compare
from zeroair_pl.method.restored import Restored
from zeroair_pl.photos.photo import Photo

X = toy_photo(300, 400)[0]
RESTORED = Restored(Photo(0.5 * X + 0.4, "PNG", "rgb"), X, {}, "a.png", "Haze", 0.0, 1, 0.1)


def pictures(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(each))) for each in found]


@pytest.mark.parametrize(
    "zoom,expected",
    [
        (Zoom(0.5, 0.5, 100, 80), ((110, 190), (150, 250))),
        (Zoom(0.0, 1.0, 100, 80), ((220, 300), (0, 100))),
        (Zoom(0.5, 0.5, 5000, 5000), ((0, 300), (0, 400))),
        (Zoom(0.5, 0.5, -5, 0), ((134, 166), (184, 216))),
    ],
)
def test_which_part(zoom: Zoom, expected: object) -> None:
    rows, columns = zoom.slices((300, 400))
    assert ((rows.start, rows.stop), (columns.start, columns.stop)) == expected


@pytest.mark.parametrize("strength", [1.0, 0.5, {"Haze": 0.5, "Noise": 0.0}])
def test_it_is_what_the_whole_photo_has_there(strength: float | dict[str, float]) -> None:
    shown = RESTORED.blend(strength)
    after, before, small = pictures(compare(shown, "a.png", zoom=Zoom(0.5, 0.5, 100, 80)))
    assert (after.size, before.size) == ((100, 80), (100, 80))
    assert small.width <= 150
    whole = shown.pixels[:, 110:190, 150:250]
    found = torch.from_numpy(np.asarray(after).copy()).permute(2, 0, 1) / 255
    assert float((found - whole).abs().mean()) < 0.01, "but for the JPEG"
