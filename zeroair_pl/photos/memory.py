"""Converts arrays, tensors and Pillow images to a ``Photo``, and results back to the same kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.photos.photo import (
    Array,
    Photo,
    as_stored,
    build,
    check_size,
    of_size,
    planes,
    read_dpi,
    read_exif,
    to_cmyk,
)
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.writing import samples_of

Back = Callable[[Tensor], Any]  # pixels (3, H, W) in [0, 1] as the kind of image that came in


def as_photo(image: Any, name: str = "photo") -> tuple[Photo, Back]:
    """Any image as a ``Photo``, and a function that converts results back.

        >>> import numpy as np
        >>> photo, back = as_photo(np.full((16, 20), 51, np.uint8))
        >>> tuple(photo.pixels.shape), back(photo.pixels).shape
        ((3, 16, 20), (16, 20))

    Args:
        image: a path; a numpy array (H, W, 3) or (H, W) of uint8, uint16 or float in [0, 1]; a tensor (3, H, W) or
            (1, 3, H, W) of uint8 or float in [0, 1]; a Pillow image.
        name: how errors call it.

    Returns:
        The photo; and a function from pixels to an image of the same kind, type and shape. For a path that is a numpy
        array, upright, with the samples of the file: (H, W) for a gray one, (H, W, 3) for any other.

    Raises:
        InputError: it is none of these, of another shape or type, or has values outside of [0, 1].
    """
    if isinstance(image, str | Path):
        photo = load_photo(image)
        return photo, lambda pixels: _array(pixels, photo.dtype, photo.space == "gray", photo.white)
    if isinstance(image, Photo):
        return image, lambda pixels: pixels
    if isinstance(image, Tensor):
        return _of_tensor(image, name)
    if isinstance(image, np.ndarray):
        return _of_array(image, name)
    if isinstance(image, Image.Image):
        return _of_pillow(image, name)
    raise InputError(
        f"{name}: expected a path, a numpy array, a tensor or a Pillow image, but got a {type(image).__name__}."
    )


def _of_array(array: Any, name: str) -> tuple[Photo, Back]:
    what = f"{name}: a numpy array of shape {array.shape} and type {array.dtype}"
    gray = array.ndim == 2
    if not gray and (array.ndim != 3 or array.shape[2] != 3):
        planes_first = array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] != 1
        four = array.ndim == 3 and array.shape[2] == 4
        near = " Turn it with array.transpose(1, 2, 0)." if planes_first else ""
        near = near or (" Leave the fourth channel out: array[..., :3]." if four else "")
        raise InputError(f"{what}; expected (H, W, 3) or (H, W).{near}")
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise InputError(f"{what}; expected uint8, uint16, or float in [0, 1].")
    check_size(Path(name), array.shape[1], array.shape[0])
    given = str(array.dtype)
    if array.dtype.kind == "f":
        _check_range(float(array.min()), float(array.max()), what)
        array = array.astype(np.promote_types(array.dtype, np.float32), copy=False)
    samples = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(*array.shape[:2], -1)
    photo = build(samples, None, format=_format(samples), space="gray" if gray else "rgb", orientation=1)
    return photo, lambda pixels: _array(pixels, given, gray)


def _of_tensor(tensor: Tensor, name: str) -> tuple[Photo, Back]:
    shape = tuple(tensor.shape)
    what = f"{name}: a tensor of shape {shape} and type {str(tensor.dtype).removeprefix('torch.')}"
    if len(shape) not in (3, 4) or shape[-3] != 3 or shape[:-3] not in ((), (1,)):
        planes_last = len(shape) == 3 and shape[2] == 3
        several = len(shape) == 4 and shape[1] == 3
        near = " Turn it with tensor.permute(2, 0, 1)." if planes_last else ""
        near = near or (" Restore them one by one." if several else "")
        raise InputError(f"{what}; expected (3, H, W) or (1, 3, H, W).{near}")
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise InputError(f"{what}; expected uint8, or float in [0, 1].")
    check_size(Path(name), shape[-1], shape[-2])
    values = tensor.detach().reshape(shape[-3:]).cpu()
    if tensor.dtype != torch.uint8:
        _check_range(float(values.min()), float(values.max()), what)
        values = values.float()
    samples = np.ascontiguousarray(values.permute(1, 2, 0).numpy())
    photo = build(samples, None, format=_format(samples), space="rgb", orientation=1)

    def back(pixels: Tensor) -> Tensor:
        found = (pixels * 255).round() if tensor.dtype == torch.uint8 else pixels
        return found.reshape(*shape[:-2], *pixels.shape[-2:]).to(tensor.device, tensor.dtype)

    return photo, back


def _of_pillow(image: Image.Image, name: str) -> tuple[Photo, Back]:
    check_size(Path(name), *image.size)
    try:
        image.load()
    except Exception as error:  # decoders raise nearly any exception for damaged bytes
        raise InputError(f"{name}: a Pillow image that cannot be decoded ({type(error).__name__}).") from error
    exif, orientation = read_exif(image)
    profile = image.info.get("icc_profile")
    space, color, alpha = planes(Path(name), image)
    photo = build(
        color, alpha, format="PNG" if space != "cmyk" else "TIFF", space=space, icc_profile=profile, exif=exif,
        orientation=orientation, dpi=read_dpi(image),
    )  # fmt: skip

    def back(pixels: Tensor) -> Image.Image:
        samples = samples_of(pixels, photo.dtype, space == "gray")
        if photo.alpha is not None:
            alpha = of_size(photo, (samples.shape[0], samples.shape[1])).alpha
            assert alpha is not None
            samples = np.dstack([samples, alpha])
        samples = np.ascontiguousarray(as_stored(samples, orientation))
        restored = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
        if space == "cmyk":
            restored = to_cmyk(restored, profile)
        restored.info = dict(image.info)
        return restored

    return photo, back


def _check_range(low: float, high: float, what: str) -> None:
    if not (low >= 0 and high <= 1):  # false for NaN as well
        near = " Divide it by 255." if low >= 0 and 1 < high <= 255 else ""
        raise InputError(f"{what} with values from {low:g} to {high:g}; expected [0, 1].{near}")


def _format(samples: Array) -> str:
    """The format of a file for such samples."""
    return "PNG" if samples.dtype.kind == "u" else "TIFF"


def _array(pixels: Tensor, dtype: str, gray: bool, white: float | None = None) -> Any:
    samples = samples_of(pixels, dtype, gray, white)
    return samples[..., 0] if gray else samples
