"""Missing pixels that a photo shows itself: those of one color, such as ``#ff00ff``, or those that are transparent.

People mark a hole by painting over it in a color that the photo does not have, or by erasing it.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.photos.photo import Photo

ALPHA = "alpha"  # the word for transparent pixels
NEAR = 10 / 255  # the most that a channel may differ from the color; a JPEG keeps no color exactly
_COLOR = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)


def is_mark(word: object) -> bool:
    """Whether a setting is a color, ``#rgb`` or ``#rrggbb``, or the word ``alpha``, and no path."""
    return str(word) == ALPHA or _COLOR.fullmatch(str(word)) is not None


def marked(photo: Photo, mark: str) -> Tensor:
    """The pixels of the photo that are missing, (1, 1, H, W), 0 or 1.

    The pixels next to those of the color are missing too, since a soft brush mixes its color with the photo.
    A pixel is transparent if its alpha is less than half.

    The color is compared with the values in the file, whatever its profile.

    Raises:
        InputError: no pixel is marked so.
    """
    if mark == ALPHA:
        top = np.iinfo(photo.dtype).max if photo.dtype.startswith("uint") else 1.0
        clear = np.zeros(photo.size, bool) if photo.alpha is None else photo.alpha < top / 2
        if not clear.any():
            raise InputError("missing: alpha, but no pixel is transparent. Erase what is missing, or give a mask.")
        return torch.from_numpy(clear)[None, None].float()
    digits = mark[1:] if len(mark) == 7 else "".join(2 * digit for digit in mark[1:])
    color = torch.tensor([*bytes.fromhex(digits)])[:, None, None] / 255
    far = (photo.pixels - color).abs().amax(0)
    if not bool((far <= NEAR).any()):
        row, column = divmod(int(far.argmin()), far.shape[1])
        near = bytes((photo.pixels[:, row, column] * 255).round().byte().tolist()).hex()
        raise InputError(
            f"missing: {mark}, but no pixel has this color; the nearest is #{near}, {column} px from the left and "
            f"{row} px from the top."
        )
    return F.max_pool2d((far <= NEAR)[None, None].float(), 3, stride=1, padding=1)


def filled_in(photo: Photo) -> Photo:
    """The photo, opaque where its side information says that pixels are missing, since these are to be filled."""
    missing = photo.side.get("missing")
    if missing is None or photo.alpha is None:
        return photo
    top = np.iinfo(photo.dtype).max if photo.dtype.startswith("uint") else 1.0
    return replace(photo, alpha=np.where(missing[0, 0].numpy() > 0, top, photo.alpha).astype(photo.alpha.dtype))
