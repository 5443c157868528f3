"""One restored photo in memory: the image, what was learned, and how it is saved."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.method.display import restored_html
from zeroair_pl.method.shares import Strength, file_of, kinds_in, mixed_for, strength_in_words
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.formats import SUFFIXES
from zeroair_pl.photos.masking import weights
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import original
from zeroair_pl.ranges import nearest_share
from zeroair_pl.tensors.drawing import photo

_ONLY_BYTES = ("JPEG", "WEBP", "BMP")  # formats that only have 8 bits a sample


@dataclass(frozen=True, eq=False)
class Restored:
    """One restored photo.

    Attributes:
        photo: the photo before the restoration.
        full: (3, H, W) in [0, 1], upright: the restoration with the full correction.
        diagnostics: what the degradation has learned, as arrays: (H, W) or (H, W, C) maps, (C,) or scalar numbers.
        name: the photo's name; the seed and the name decide all random numbers.
        kind: the degradation, as ``Auto`` found it or as the method states it.
        noise_level: learned standard deviation of its noise, in units of [0, 1].
        nfe: number of forward passes of the prior.
        seconds: wall-clock time of the fit.
        reason: what ``Auto`` found and the evidence for it, in words.
        unchanged: whether nothing was found that needs a change; ``full`` is then the photo.
        note: what was done differently from the method so that the fit succeeded, in words.
        strength: share of the correction in ``image``, 0 to 1; or one for each kind.
        steps: of a chain, the photo after each of its links, u₁ … uₖ of ``shares``.
        back: converts (3, H, W) pixels to the type of the input, for ``image``.
        file: the file of the photo, if it was read from one.
    """

    photo: Photo = field(repr=False)
    full: Tensor = field(repr=False)
    diagnostics: dict[str, NDArray[Any]] = field(repr=False)
    name: str
    kind: str
    noise_level: float
    nfe: int
    seconds: float
    note: str = ""
    reason: str = ""
    strength: Strength = 1.0
    steps: tuple[Tensor, ...] = field(default=(), repr=False)
    back: Callable[[Tensor], Any] = field(default=lambda pixels: pixels, repr=False)
    file: Path | None = field(default=None, repr=False)
    unchanged: bool = False

    @property
    def pixels(self) -> Tensor:
        """(3, H, W) in [0, 1], upright, on the CPU; larger than the photo if it was enlarged."""
        weight = weights(self.photo)
        return mixed_for(self.photo.pixels, self.full, self.strength, self.kind, self.steps, weight)

    @property
    def image(self) -> Any:
        """The restored photo in the form of the input: an array, tensor or Pillow image of the same layout and type.

        For a path it is an array, upright: (H, W, 3), or (H, W) for a gray file, with the file's type of samples.
        """
        return self.back(self.pixels)

    @property
    def kinds(self) -> list[str]:
        """What has a strength of its own in ``blend``: each degradation, and ``Noise``."""
        return [] if self.unchanged else kinds_in(self.kind)

    def blend(self, strength: float | Mapping[str, float]) -> Restored:
        """The same restoration with another strength: 0 is the photo itself, 1 the full correction.

        A lower strength first returns the photo's own texture and grain, see ``blending``. A strength for each kind,
        such as ``{"Haze": 0.6, "Noise": 0}``, corrects each as far as it says, and what it does not name in full; see
        ``shares``. There is no new fit.

        Raises:
            ConfigError: a strength is not in [0, 1], or there is no such kind in this photo.
        """
        by_kind = dict(strength) if isinstance(strength, Mapping) else {}
        for name, value in by_kind.items() or [("", strength)]:
            if name and name not in self.kinds:
                raise ConfigError(f"strength: {name!r} is not one of the kinds of this photo: {', '.join(self.kinds)}.")
            if not (isinstance(value, int | float) and 0 <= value <= 1):
                where = f"strength of {name}" if name else "strength"
                raise ConfigError(
                    f"{where} is {value}, expected a number from 0 (the photo) to 1 (all of it).{nearest_share(value)}"
                )
        return replace(self, strength=by_kind if by_kind else float(strength))  # type: ignore[arg-type]

    def save(self, path: str | Path) -> Path:
        """Writes the restored photo. The suffix decides the format.

        A photo that was read from a file keeps its format (or becomes a PNG), bit depth, transparency, profile and
        metadata, as on the command line. If it is unchanged, or the strength is 0, its file is copied. Any other photo
        can be written in all formats. Missing folders are created.

        Returns:
            The path.

        Raises:
            InputError: the photo cannot have a format with this suffix, or the file cannot be written.
        """
        like = self._like(Path(path))
        copied = self.file is not None and Path(path).suffix.lower() in SUFFIXES[self.photo.format]
        own = original(self.file) if self.file is not None and copied else None
        data = file_of(path, self.full, like, self.strength, own, self.kind, self.steps, self.unchanged)
        write_atomically(Path(path), data)
        return Path(path)

    def _like(self, path: Path) -> Photo:
        """The photo whose format, sample type and metadata the written file has."""
        photo, suffix = self.photo, path.suffix.lower()
        fmt = next((fmt for fmt, suffixes in SUFFIXES.items() if suffix in suffixes), None)
        known = [f for f in SUFFIXES if self.file is None or f in (photo.format, "PNG")]
        if fmt not in known:
            suffixes = ", ".join(each for f in known for each in SUFFIXES[f])
            raise InputError(f"{path}: the photo can be saved with one of these suffixes: {suffixes}.")
        if self.file is not None or fmt == photo.format or (fmt == "PNG" and photo.dtype.startswith("float")):
            return photo
        changed: dict[str, Any] = {"format": fmt}
        if fmt in _ONLY_BYTES and photo.dtype != "uint8":
            changed["dtype"] = "uint8"
        if photo.space == "cmyk" and fmt not in ("TIFF", "JPEG"):
            changed |= {"space": "rgb", "icc_profile": None}
        if fmt == "JPEG":
            changed["alpha"] = None
        return replace(photo, **changed)

    def _repr_png_(self) -> bytes:
        """A PNG for notebooks, at most 1024 pixels a side."""
        pixels, data = self.pixels, io.BytesIO()
        photo(pixels, min(1024, pixels.shape[-2]), 1024).save(data, "PNG")
        return data.getvalue()

    def _repr_html_(self) -> str:
        """HTML for notebooks: the photo before and after with a divider to drag, and what was learned."""
        return restored_html(self.photo.pixels, self.pixels, self._facts(), self.diagnostics)

    def _facts(self) -> dict[str, str]:
        return {
            self.name: self.kind or "unchanged",
            "found": self.reason,
            "strength": strength_in_words(self.strength),
            "noise": f"{255 * self.noise_level:.1f}/255",
            "passes of the prior": str(self.nfe),
            "seconds": f"{self.seconds:.1f}",
            "note": self.note,
        }
