"""One photo in the list of the page, and the files of its result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroair_pl.method.shares import Strength
from zeroair_pl.photos.writing import suffix_for

if TYPE_CHECKING:
    from zeroair_pl.method.restored import Restored

MAP = 320  # the most values on a side of a map

Status = Literal["waiting", "running", "restored", "failed"]


@dataclass
class Shot:
    """One photo of a user.

    Attributes:
        key: identifies it among the photos of its user.
        path: the uploaded file, in the session's folder.
        name: the original name of the file.
        status, reason: its state, and why it failed.
        restored: its result.
        preview: the result of a small copy, for a large photo.
        strength: share of the correction that is shown and downloaded, 0 to 1, or one for each kind.
        mask: (h, w), True where the brush was, of any size with the photo's aspect; ``None`` if nothing is painted.
        thumbnail: a small picture for the list, as a data URI.
        size: (height, width), when it is known.
    """

    key: str
    path: Path
    name: str
    status: Status = "waiting"
    reason: str = ""
    restored: Restored | None = None
    preview: Restored | None = None
    strength: Strength = 1.0
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    thumbnail: str = field(default="", repr=False)
    size: tuple[int, int] | None = None

    @property
    def shown(self) -> Restored | None:
        """The result, or its preview, at the chosen strength; ``None`` if there is neither."""
        found = self.restored or self.preview
        return replace(found, strength=self.strength) if found is not None else None

    def strength_of(self, kind: str) -> float:
        """The strength of one kind."""
        return self.strength.get(kind, 1.0) if isinstance(self.strength, dict) else self.strength

    def keep(self, restored: Restored) -> None:
        """Stores a result. Its pixels go to files beside the photo, so that a long list takes little memory."""
        beside = self.path.parent / self.key
        pixels = on_disk(restored.photo.pixels, beside.with_suffix(".photo"))
        self.restored = replace(
            restored,
            photo=replace(restored.photo, pixels=pixels, side={}),
            full=on_disk(restored.full, beside.with_suffix(".full")),
            steps=tuple(on_disk(step, beside.with_suffix(f".step{i}")) for i, step in enumerate(restored.steps)),
            back=torch.Tensor.numpy,  # the result's own function would keep the photo in memory
            diagnostics={name: _thinned(values) for name, values in restored.diagnostics.items()},
        )
        self.preview, self.status, self.reason = None, "restored", ""

    def failed(self, reason: str) -> None:
        """Marks the photo as failed, for this reason."""
        self.restored = self.preview = None
        self.status, self.reason = "failed", reason

    def output(self) -> str:
        """The name of the downloaded file: that of the photo, with the suffix of the format it is written in."""
        assert self.restored is not None
        path = Path(self.name)
        return f"{path.stem}{suffix_for(path, self.restored.photo)}"

    def save(self, folder: Path) -> Path:
        """Writes the result into a new folder inside ``folder``, as the command line would write it.

        Returns:
            The file.

        Raises:
            InputError: it cannot be written.
        """
        assert self.restored is not None
        return replace(self.restored, strength=self.strength).save(folder / self.key / self.output())

    def forget(self) -> None:
        """Removes its files."""
        for path in (self.path, *self.path.parent.glob(f"{self.key}.*")):
            path.unlink(missing_ok=True)


def _thinned(values: NDArray[Any]) -> NDArray[Any]:
    """A map with at most about ``MAP`` values a side, which is enough to show it."""
    step = -(-max(values.shape[:2]) // MAP) if values.ndim >= 2 else 1
    return values if step == 1 else values[::step, ::step].copy()


def on_disk(values: Tensor, path: Path) -> Tensor:
    """The same values in a file, as a tensor that the system reads from disk when it is used."""
    path.unlink(missing_ok=True)  # an earlier result may still be read
    kept = np.memmap(path, np.float32, "w+", shape=tuple(values.shape))
    kept[:] = values.numpy()
    kept.flush()
    del kept
    return torch.from_numpy(np.memmap(path, np.float32, "c", shape=tuple(values.shape)))
