"""Classical restorations of a few lines each, as a lower limit for the quality of the method.

All map (H, W, 3) float32 images in [0, 1] to such images. Their settings are the same for every photo.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def dark_channel(y: Image, omega: float, patch: int, gray: bool = False, sky: float = 0.0) -> Image:
    """He, Sun & Tang (CVPR 2009): t = 1 − ω·dark(y/A), guided by y's brightness, J = (y − A)/t + A.

    Args:
        omega: share of the haze that is removed.
        patch: side of the window in pixels.
        gray: use the same airlight for the three channels.
        sky: smallest t where the photo is bright and smooth.
    """
    dark = _erode(y.min(axis=2), patch)
    top = np.argsort(dark, axis=None)[-max(1, dark.size // 1000) :]
    airlight = y.reshape(-1, 3)[top].mean(axis=0)
    if gray:
        airlight = np.full(3, airlight.mean(), np.float32)
    airlight = airlight.clip(0.05, 1)
    t = 1 - omega * _erode((y / airlight).min(axis=2), patch)
    brightness = y.mean(axis=2)
    if sky:
        mean = cv2.blur(brightness, (patch, patch))
        rough = np.sqrt((cv2.blur(brightness**2, (patch, patch)) - mean**2).clip(0))
        t = np.where((mean > 0.85 * airlight.mean()) & (rough < 0.02), np.maximum(t, sky), t)
    t = guided(brightness, t.astype(np.float32), 4 * patch, 1e-3).clip(0.1, 1)[..., None]
    return (y - airlight) / t + airlight


def gamma_to_mean(y: Image, mean: float = 0.5) -> Image:
    """y^γ with the γ that gives the photo this mean, found by bisection."""
    low, high = 0.02, 20.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if float((y**middle).mean()) > mean else (low, middle)
    return y ** ((low * high) ** 0.5)


def gray_world(y: Image) -> Image:
    """Every channel scaled to the mean of all (Buchsbaum, 1980)."""
    means = y.mean(axis=(0, 1))
    return y * (means.mean() / means.clip(1e-3))


def stretched(y: Image, share: float = 1.0) -> Image:
    """Every channel stretched so that ``share`` percent of its pixels are black and the same number are white."""
    low, high = np.percentile(y, (share, 100 - share), axis=(0, 1)).astype(np.float32)
    return (y - low) / np.maximum(high - low, np.float32(1e-3))


def non_local_means(y: Image, strength: float = 1.0) -> Image:
    """Non-local means of OpenCV on 8 bits, with h = ``strength`` times the estimated noise level."""
    h = max(0.5, strength * 255 * noise_level(y))
    eight = np.rint(y.clip(0, 1) * 255).astype(np.uint8)
    return (cv2.fastNlMeansDenoisingColored(eight, None, h, h, 5, 21) / 255.0).astype(np.float32)


def dct_thresholding(y: Image, side: int = 8, threshold: float = 2.7) -> Image:
    """Sets small cosine coefficients of every side×side patch to 0 and averages the patches (Yu & Sapiro, 2011).

    Before this, a cosine transform of the three values of each pixel decorrelates the channels.
    """
    sigma = noise_level(y)
    colors = cosines(3)
    rotated = np.pad(y @ colors.T, ((side - 1, side - 1), (side - 1, side - 1), (0, 0)), mode="reflect")
    total, weight = np.zeros_like(rotated), np.zeros((*rotated.shape[:2], 1), np.float32)
    basis = cosines(side)
    for top in range(side):
        for left in range(side):
            part = rotated[top:, left:]
            rows, columns = part.shape[0] // side, part.shape[1] // side
            part = part[: rows * side, : columns * side]
            tiles = part.reshape(rows, side, columns, side, 3)
            found = np.einsum("ia,rackl,jc->rikjl", basis, tiles.transpose(0, 1, 3, 2, 4), basis, optimize=True)
            keep = np.abs(found) > threshold * sigma
            keep[:, 0, :, 0] = True  # the mean
            back = np.einsum("ia,rikjl,jc->rakcl", basis, found * keep, basis, optimize=True)
            total[top : top + rows * side, left : left + columns * side] += back.reshape(part.shape)
            weight[top : top + rows * side, left : left + columns * side] += 1
    inner = slice(side - 1, 1 - side)
    return ((total[inner, inner] / weight[inner, inner]) @ colors).astype(np.float32)


def noise_level(y: Image) -> float:
    """σ of white noise from the median diagonal detail of 2×2 blocks (Donoho & Johnstone, 1994)."""
    height, width = (side - side % 2 for side in y.shape[:2])
    a, b = y[0:height:2, 0:width:2], y[0:height:2, 1:width:2]
    c, d = y[1:height:2, 0:width:2], y[1:height:2, 1:width:2]
    return float(np.median(np.abs(a - b - c + d) / 2)) / 0.6745


def _erode(gray: Any, side: int) -> Any:
    return cv2.erode(gray, np.ones((side, side), np.uint8))


def guided(guide: Any, rough: Any, radius: int, eps: float) -> Any:
    """Guided filter (He, Sun & Tang, ECCV 2010)."""

    def mean(x: Any) -> Any:
        return cv2.blur(x, (2 * radius + 1, 2 * radius + 1))

    m, r = mean(guide), mean(rough)
    a = (mean(guide * rough) - m * r) / (mean(guide * guide) - m * m + eps)
    return mean(a) * guide + mean(r - a * m)


def cosines(side: int) -> Image:
    """Orthonormal matrix of the cosine transform, with one row for each frequency."""
    k, n = np.arange(side)[:, None], np.arange(side)[None]
    rows = np.cos(np.pi * (n + 0.5) * k / side) * np.sqrt(2 / side)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


def _gamma_then_dct(y: Image) -> Image:
    return dct_thresholding(gamma_to_mean(y).astype(np.float32))


FLOORS: dict[str, dict[str, Callable[[Image], Image]]] = {
    "haze": {
        "dark channel, 0.7": partial(dark_channel, omega=0.7, patch=15),
        "dark channel, gray, sky": partial(dark_channel, omega=0.75, patch=9, gray=True, sky=0.6),
        "dark channel, gray, 0.9": partial(dark_channel, omega=0.9, patch=15, gray=True),
    },
    "lowlight": {"gamma to 0.5": gamma_to_mean, "gamma to 0.5, DCT": _gamma_then_dct},
    "noise": {"non-local means": non_local_means, "DCT thresholding": dct_thresholding},
    "underwater": {"gray world": gray_world, "stretched channels": stretched},
    "other": {"non-local means": non_local_means},
}
