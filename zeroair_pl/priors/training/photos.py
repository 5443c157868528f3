"""The photographs that a prior learns from: decoded once, kept in one memory-mapped file, cropped at random."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.source import Source
from zeroair_pl.ranges import Range, ranged

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.uint8]


@ranged("data")
@dataclass
class Data:
    """The photographs that a prior is trained on.

    Args:
        photos: files, folders, globs, or .txt/.csv lists of clean photographs.
        crop: side of the training crops in pixels; a multiple of the network's input multiple.
        batch: number of crops in a step, on each device.
        short_side: photographs whose short side is longer than this are shrunk to it, in pixels; it limits disk space.
        smallest_scale: crops are taken at random scales from this to 1. A shrunk photo is sharper, and shows no traces
            of compression.
        full_scale: share of the crops at scale 1.
        turned: swap rows and columns of half of the crops. Use false for a prior of whole scenes, where up and down
            matter.
        held_out: number of photographs that are only used for measurements.
        workers: number of processes that prepare crops; 0 prepares them between the steps, which is enough for a CPU.
        late_crop: side of the crops in the second half of the steps, with a smaller batch of about as many pixels. The
            network first learns fast on small crops, then learns to use distant pixels (progressive learning, Zamir et
            al., CVPR 2022). By default the side stays the same.
    """

    photos: list[str] | str
    crop: Annotated[int, Range(1)] = 64
    batch: Annotated[int, Range(1)] = 16
    short_side: Annotated[int, Range(1)] = 512
    smallest_scale: Annotated[float, Range(0.05, 1)] = 0.4
    full_scale: Annotated[float, Range(0, 1)] = 0.3
    turned: bool = True
    held_out: Annotated[int, Range(1)] = 8
    workers: Annotated[int, Range(0)] = 0
    late_crop: Annotated[int | None, Range(1)] = None

    def at(self, share: float) -> Data:
        """The settings after this share of the training's steps."""
        if self.late_crop is None or share < 0.5:
            return self
        return replace(self, crop=self.late_crop, batch=max(1, self.batch * self.crop**2 // self.late_crop**2))

    @property
    def largest(self) -> int:
        """Side of the largest crops."""
        return max(self.crop, self.late_crop or 0)


class Photos:
    """Photographs as uint8 RGB arrays in one memory-mapped file, so that any number of them needs little memory.

    Args:
        folder: the folder that ``gather`` has written.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "photos.json").read_text())
        self.names: list[str] = index["names"]
        self.shapes: list[tuple[int, int]] = [(h, w) for h, w in index["shapes"]]
        self.skipped: list[str] = index["skipped"]
        self.key: str = index["key"]
        self._starts = np.concatenate([[0], np.cumsum([h * w * 3 for h, w in self.shapes])]).tolist()
        self._bytes: Array = np.memmap(folder / "photos.bin", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> Array:
        """The i-th photograph, (H, W, 3)."""
        return self._bytes[self._starts[i] : self._starts[i + 1]].reshape(*self.shapes[i], 3)

    @property
    def megapixels(self) -> float:
        """Megapixels of all photographs together, after shrinking."""
        return self._starts[-1] / 3e6


def gather(data: Data, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Photos:
    """Decodes all photographs of ``data`` into ``folder``, or opens those that an earlier run has decoded.

    Files that cannot be read, or are smaller than a crop, are skipped and listed in ``skipped``.

    Raises:
        ConfigError: no photograph is found, or fewer than two are left.
    """
    sources = find_images(data.photos)
    key = _key(sources, data)
    if (folder / "photos.json").is_file() and (found := Photos(folder)).key == key:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "photos.json").unlink(missing_ok=True)  # it is written last, and shows that the other file is complete
    names, shapes, skipped = [], [], []
    with (folder / "photos.bin").open("wb") as file:
        for k, source in enumerate(sources):
            progress(k, len(sources))
            try:
                pixels = _shrunken(source, data)
            except InputError as error:
                skipped.append(str(error))
                continue
            names.append(source.name)
            shapes.append(pixels.shape[:2])
            file.write(pixels.tobytes())
    if len(names) <= max(1, data.held_out):
        raise ConfigError(
            f"data.photos: {len(names)} usable photographs of {len(sources)} files, with {data.held_out} to be held "
            f"out; expected more.{' ' + skipped[0] if skipped else ''}"
        )
    index = {"key": key, "names": names, "shapes": shapes, "skipped": skipped}
    (folder / "photos.json").write_text(json.dumps(index))
    return Photos(folder)


def _key(sources: list[Source], data: Data) -> str:
    facts: list[object] = [data.short_side, data.largest]
    for source in sources:
        status = source.path.stat() if source.path.exists() else None
        facts.append((str(source.path), status and status.st_size, status and status.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _shrunken(source: Source, data: Data) -> Array:
    pixels = load_photo(source.path).pixels.permute(1, 2, 0).numpy()
    image = Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))
    short = min(image.size)
    if short > data.short_side:
        scale = data.short_side / short
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    if min(image.size) < data.largest:
        width, height = image.size
        raise InputError(f"{source.path}: {width}x{height} px, smaller than a crop of {data.largest} px.")
    return np.asarray(image)


class Crops(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Random crops, with the random numbers that a training step needs for them.

    The k-th item of an epoch only depends on the seed, the epoch and k, not on the number of workers or devices. So a
    resumed training continues with the same crops as one without an interruption.

    Args:
        photos: all photographs.
        chosen: the indices of those to crop.
        data: scales and sizes of the crops.
        count: number of crops in an epoch.
        seed: for all random numbers.

    Attributes:
        epoch: number of the epoch; the training sets it.
    """

    def __init__(self, photos: Photos, chosen: list[int], data: Data, count: int, seed: int) -> None:
        self.photos, self.chosen, self.data, self.count, self.seed = photos, chosen, data, count, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """A clean crop (3, S, S) in [-1, 1], standard normal noise of its shape, and two uniform numbers (2,)."""
        rng = np.random.default_rng([self.seed, self.epoch, k])
        pixels = self._crop(rng).transpose(2, 0, 1)
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        clean = torch.from_numpy(np.ascontiguousarray(pixels)).float() / 127.5 - 1
        return clean, torch.from_numpy(noise), torch.from_numpy(rng.random(2, dtype=np.float32))

    def _crop(self, rng: np.random.Generator) -> Array:
        photo = self.photos[self.chosen[rng.integers(len(self.chosen))]]
        height, width = photo.shape[:2]
        side, scale = self.data.crop, 1.0
        if rng.random() >= self.data.full_scale:
            scale = rng.uniform(self.data.smallest_scale, 1)
        taken = min(side / scale, height, width)  # side of the region in the photo; may be fractional
        if scale == 1:
            top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
            crop = photo[top : top + side, left : left + side]
        else:
            top, left = rng.uniform(0, height - taken), rng.uniform(0, width - taken)
            # Pillow gets only this part, since it would copy the whole photo.
            y0, x0 = max(0, int(top) - 8), max(0, int(left) - 8)
            y1, x1 = (int(start + taken) + 9 for start in (top, left))
            box = (left - x0, top - y0, left - x0 + taken, top - y0 + taken)
            region = Image.fromarray(np.ascontiguousarray(photo[y0:y1, x0:x1]))
            box = (box[0], box[1], min(box[2], region.width), min(box[3], region.height))
            crop = np.asarray(region.resize((side, side), Image.Resampling.BICUBIC, box=box))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if self.data.turned and rng.random() < 0.5:
            crop = crop.swapaxes(0, 1)
        return crop


def held_out(photos: Photos, count: int) -> tuple[list[int], list[int]]:
    """Indices of the photographs to train on, and of ``count`` held-out ones, spread evenly over the list."""
    chosen = {round((k + 0.5) * len(photos) / count - 0.5) for k in range(count)}
    return [i for i in range(len(photos)) if i not in chosen], sorted(chosen)


def center(photo: Array, side: int = 256) -> Tensor:
    """The middle of a photograph, (3, h, w) in [-1, 1]; h and w are multiples of 16 and at most ``side``."""
    height, width = (max(16, min(n, side) // 16 * 16) for n in photo.shape[:2])
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    pixels = np.ascontiguousarray(photo[top : top + height, left : left + width].transpose(2, 0, 1))
    return torch.from_numpy(pixels).float() / 127.5 - 1
