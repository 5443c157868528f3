"""Measures a denoiser's error at each noise level, once; a cache keeps it under the denoiser's digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl import console
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.priors.base import Calibration
from zeroair_pl.priors.hub.catalog import home
from zeroair_pl.priors.hub.locating import BUNDLED

SIDE = 128  # px, of the square pieces of photos
MOST = 8  # pieces
LEVELS = Calibration().sigma
BETWEEN = 0.03, 0.2  # noise of which a denoiser removes a part, if it is asked in the right way
REMOVED = 0.1  # the least part; to clamp to [0, 1] removes some, too
LEAST = 1e-4  # smallest error; with an error of 0, the photo would have no weight

Denoise = Callable[[Tensor, Tensor], Tensor]


def calibrated(denoise: Denoise, name: str, digest: str, photos: str | None = None) -> Calibration:
    """The measured error of ``denoise(x, sigma)``, from the cache if it was measured before.

    Args:
        digest: of everything that decides its estimates; if empty, the cache is not used.
        photos: clean photos for the measurement; by default pieces of the example photos.

    Raises:
        ConfigError: no photo of 128×128 pixels is found, or an estimate is not finite.
    """
    pieces = own_pieces() if photos is None else pieces_of(photos)
    found = hashlib.sha256(digest.encode() + pieces.numpy().tobytes() + repr(LEVELS).encode())
    kept = home().parent / "calibrations" / f"{found.hexdigest()[:32]}.json" if digest else None
    if kept is not None and (known := _read(kept)) is not None:
        return known
    console.tell(f"{name}: measuring its error at {len(LEVELS)} noise levels, once")
    calibration = Calibration(LEVELS, measure(denoise, name, pieces))
    if not removes_noise(calibration):
        console.tell(
            f"warning: {name} removes no noise: its error is that of the noise or more, from 10 to 50 of 255. Is it "
            "asked in the right way (noise, scale, range, predicts)?"
        )
    if kept is not None:
        content = {"name": name, "sigma": calibration.sigma, "rmse": calibration.rmse}
        try:
            write_atomically(kept, (json.dumps(content) + "\n").encode())
        except InputError as error:  # without a cache, it is measured again next time
            console.tell(f"warning: {error}")
    return calibration


def removes_noise(calibration: Calibration) -> bool:
    """Whether the estimates are nearer to the clean image than the noisy image is, at one of the levels ``BETWEEN``."""
    low, high = BETWEEN
    return any(error < (1 - REMOVED) * level for level, error in zip(calibration.sigma, calibration.rmse, strict=True)
               if low <= level <= high)  # fmt: skip


def measure(denoise: Denoise, name: str, pieces: Tensor) -> tuple[float, ...]:
    """RMS error at each of ``LEVELS`` over clean pieces (N, 3, S, S) in [0, 1], each with different noise."""
    errors = []
    for k, level in enumerate(LEVELS):
        squares = []
        for i, clean in enumerate(pieces.split(1)):
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1000 * i + k))
            found = denoise(clean + level * noise, torch.tensor([level])).cpu().clamp(0, 1)
            squares.append(float((found - clean).square().mean()))
        error = (sum(squares) / len(squares)) ** 0.5
        if not np.isfinite(error):
            raise ConfigError(
                f"prior.path: {name} gives values that are not finite at a noise of {level * 255:.3g}/255"
            )
        errors.append(max(error, LEAST))
    return tuple(round(each, 6) for each in errors)


def own_pieces() -> Tensor:
    """Pieces of the example photos, (N, 3, 128, 128) in [0, 1]."""
    with Image.open(BUNDLED / "calibration.png") as file:
        sheet = torch.from_numpy(np.asarray(file.convert("RGB")).copy()).permute(2, 0, 1).float() / 255
    rows = [row.split(SIDE, dim=2) for row in sheet.split(SIDE, dim=1)]
    return torch.stack([piece for row in rows for piece in row])


def pieces_of(photos: str) -> Tensor:
    """The middles of the first photos of a folder."""
    found = []
    for source in find_images(photos):
        pixels = load_photo(source.path).pixels
        top, left = ((length - SIDE) // 2 for length in pixels.shape[-2:])
        if min(top, left) >= 0:
            found.append(pixels[:, top : top + SIDE, left : left + SIDE])
        if len(found) == MOST:
            break
    if not found:
        raise ConfigError(f"prior.photos: {photos} holds no photo of at least {SIDE}x{SIDE} px to measure with")
    return torch.stack(found)


def _read(path: Path) -> Calibration | None:
    try:
        content = json.loads(path.read_text())
        return Calibration(tuple(map(float, content["sigma"])), tuple(map(float, content["rmse"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None
