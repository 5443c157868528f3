"""Files that come with a photo: a mask of where to work, a mask of missing pixels, a blur kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import ConfigError, InputError, did_you_mean
from zeroair_pl.paths import sha256_of
from zeroair_pl.photos.marked import filled_in, is_mark, marked
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.source import Source

_NEAR = 0.02  # values this near to 0 or 1 count as 0 or 1, since a JPEG does not keep black and white exactly
_KERNEL = 255  # px, the longest side of a kernel


@dataclass(frozen=True)
class SideFiles:
    """Where these files are. Each path is a file for all photos, or a folder with a file for each photo, by its name.

    Args:
        missing: masks, white where a pixel is missing; or a color or ``alpha``, see ``marked``.
        kernel: blur kernels, each a .npy file (h, w) or a gray picture.
        mask: masks, white where to work; see ``masking``.
    """

    missing: Path | None = None
    kernel: Path | None = None
    mask: Path | None = None

    def checked(self) -> SideFiles:
        """This object; raises ConfigError if a file or folder does not exist."""
        for name, path in self._stated().items():
            if not (path.exists() or (name == "missing" and is_mark(path))):
                more = ", or a color such as '#ff00ff', or alpha" if name == "missing" else ""
                raise ConfigError(
                    f"{name}: {path} does not exist; expected a file, or a folder with one per photo{more}."
                )
        return self

    def of(self, mask: str | None) -> SideFiles:
        """The paths for a photo with its own mask; the same paths for ``None``."""
        return self if mask is None else replace(self, mask=Path(mask))

    def digests(self, source: Source) -> dict[str, str]:
        """SHA-256 of the photo's files, by ``missing``, ``kernel`` and ``mask``; a color or ``alpha`` as it is.

        Files that do not exist are left out; ``read`` raises the error.
        """
        found = {}
        for what, path in self._stated().items():
            if what == "missing" and is_mark(path):
                found[what] = str(path).lower()
                continue
            file = _match(path, source)
            if file is not None and file.is_file():
                found[what] = sha256_of(file)
        return found

    def read(self, source: Source, photo: Photo) -> Photo:
        """The photo with its side information.

        Returns:
            In ``side``: ``missing`` (1, 1, H, W), 0 or 1; ``mask`` (1, 1, H, W) in [0, 1]; ``kernel`` (h, w) with sum
            1. Those without a path are left out. The photo is opaque where it is to be filled.

        Raises:
            InputError: there is no file for this photo, or the file is not a valid mask or kernel.
        """
        side: dict[str, Any] = {}
        for what, path in self._stated().items():
            if what == "missing" and is_mark(path):
                try:
                    side[what] = marked(photo, str(path))
                except InputError as error:
                    raise InputError(f"{source.path}: {error}") from error
                continue
            file = _match(path, source)
            if file is None:
                known = [each.stem for each in sorted(path.iterdir()) if each.is_file()]
                kind = "kernel" if what == "kernel" else "mask"
                raise InputError(
                    f"{path}: has no {kind} for {source.name}; expected {source.path.stem}.png or the like."
                    f"{did_you_mean(source.path.stem, known)}"
                )
            if what == "kernel":
                side[what] = _kernel(file)
            else:
                mask = _mask(file, photo)
                side[what] = _missing(mask, str(file)) if what == "missing" else _weight(mask, str(file))
        return filled_in(replace(photo, side={**photo.side, **side}))

    def _stated(self) -> dict[str, Path]:
        return {name: path for name, path in vars(self).items() if path is not None}


def with_side(photo: Photo, side: Mapping[str, Any]) -> Photo:
    """The photo with side information that a caller gave, see ``checked_side``; opaque where it is to be filled."""
    return filled_in(replace(photo, side={**photo.side, **checked_side(side, photo)}))


def checked_side(side: Mapping[str, Any], photo: Photo) -> dict[str, Any]:
    """Side information that a caller gave, in the form of ``SideFiles.read``.

    Args:
        side: ``missing`` (see ``checked_mask``; or what ``marked`` takes), ``kernel`` (h, w) and ``mask`` (see
            ``checked_mask``); entries with other names stay as they are.

    Raises:
        InputError: a mask does not have the photo's size, or a kernel is not valid.
    """
    found = dict(side)
    if "kernel" in found:
        found["kernel"] = checked_kernel(found["kernel"], "kernel")
    if isinstance(missing := found.get("missing"), str) and is_mark(missing):
        found["missing"] = marked(photo, missing)
    elif "missing" in found:
        found["missing"] = _missing(_values(missing, photo, "missing"), "missing")
    if "mask" in found:
        found["mask"] = checked_mask(found["mask"], photo)
    return found


def _match(path: Path, source: Source) -> Path | None:
    """The file for the photo at ``path``; in a folder, the one with the photo's relative path or its name."""
    if not path.is_dir():
        return path
    for stem in dict.fromkeys((source.name, source.path.stem)):
        folder = (path / stem).parent
        if folder.is_dir():
            found = [each for each in sorted(folder.iterdir()) if each.stem == Path(stem).name and each.is_file()]
            if found:
                return found[0]
    return None


def checked_mask(mask: Any, photo: Photo) -> Tensor:
    """A mask of where to work, (1, 1, H, W) in [0, 1].

    Args:
        mask: a path; a Pillow image; or an array or tensor (H, W), (1, H, W) or (1, 1, H, W) of booleans, uint8 or
            numbers in [0, 1].

    Raises:
        InputError: the mask is none of these, has another size than the photo, or is black everywhere.
    """
    values = _values(mask, photo, "mask")
    if not (float(values.min()) >= 0 and float(values.max()) <= 1):
        raise InputError(f"mask: numbers from {float(values.min()):g} to {float(values.max()):g}; expected [0, 1].")
    return _weight(values, str(mask) if isinstance(mask, str | Path) else "mask")


def _values(mask: Any, photo: Photo, what: str) -> Tensor:
    """A mask in any form that ``checked_mask`` takes, as (1, 1, H, W)."""
    if isinstance(mask, str | Path):
        return _mask(Path(mask), photo)
    if isinstance(mask, Image.Image):
        mask = np.asarray(mask.convert("L"))
    values = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
    values = values.reshape(values.shape[-2:]) if values.shape[:-2] in ((1,), (1, 1)) else values
    if values.shape != photo.size:
        raise InputError(f"{what}: of shape {values.shape}; expected {photo.size}, that of the photo.")
    scale = 255 if values.dtype == np.uint8 and what == "mask" else 1
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None] / scale


def _missing(mask: Tensor, where: str) -> Tensor:
    missing = (mask > 0.5).float()
    if bool(missing.all()):
        raise InputError(f"{where}: the mask is white everywhere, so no pixel is left; expected white where a pixel is "
                         "missing.")  # fmt: skip
    # Such as a mask of 0 and 1 out of 255. (A black one says that nothing is missing.)
    if 0 < (most := float(mask.max())) <= 0.5:
        raise InputError(f"{where}: nothing in the mask is white, its largest value is {most:.3g} of 1; expected white "
                         "where a pixel is missing.")  # fmt: skip
    return missing


def _weight(mask: Tensor, where: str) -> Tensor:
    weight = mask.where(mask < 1 - _NEAR, 1.0).where(mask > _NEAR, 0.0)
    if not bool(weight.any()):
        raise InputError(f"{where}: the mask is black everywhere; expected white where the photo is to be worked on.")
    return weight


def _mask(file: Path, photo: Photo) -> Tensor:
    mask = load_photo(file)
    if mask.size != photo.size:
        (h, w), (height, width) = mask.size, photo.size
        raise InputError(f"{file}: the mask is {w}x{h} px, the photo {width}x{height} px; expected the same size.")
    return mask.pixels.mean(0, keepdim=True)[None]


def _kernel(file: Path) -> Tensor:
    try:
        values = np.load(file) if file.suffix.lower() == ".npy" else load_photo(file, min_side=1).pixels.mean(0).numpy()
    except (ValueError, OSError, EOFError, InputError) as error:
        raise InputError(f"{file}: not a kernel; expected a .npy file of shape (h, w), or a gray picture.") from error
    return checked_kernel(values, str(file))


def checked_kernel(values: Any, what: str) -> Tensor:
    """A blur kernel (h, w), scaled to sum 1, with odd sides (zeros are added).

    Args:
        values: an array or a tensor (h, w), of at most 255 pixels a side.
        what: its name in errors.

    Raises:
        InputError: it is not two-dimensional, is too large, has negative values, or has the sum 0.
    """
    try:
        kernel = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what}: not a kernel; expected numbers of shape (h, w).") from error
    if kernel.ndim != 2 or max(kernel.shape) > _KERNEL:
        raise InputError(f"{what}: a kernel of shape {tuple(kernel.shape)}; expected (h, w) of at most {_KERNEL} px.")
    total = float(kernel.sum())
    if not (np.isfinite(total) and total > 0 and float(kernel.min()) >= 0):
        raise InputError(f"{what}: a kernel with values from {float(kernel.min()):.3g} and the sum {total:.3g}; "
                         "expected none below 0, and a sum above 0.")  # fmt: skip
    pad = (0, 1 - kernel.shape[1] % 2, 0, 1 - kernel.shape[0] % 2)
    return torch.nn.functional.pad(kernel / total, pad)
