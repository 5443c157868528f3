"""Any Gaussian denoiser as a prior: a network in a file, a folder of diffusers without a VP schedule, a function."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError, ZeroAIRError, describe
from zeroair_pl.paths import at_home
from zeroair_pl.priors.base import Prior
from zeroair_pl.priors.denoisers import functions
from zeroair_pl.priors.denoisers.base import Denoiser
from zeroair_pl.priors.denoisers.calibrating import calibrated
from zeroair_pl.priors.folder import Precision, autocast
from zeroair_pl.priors.hub.locating import bundled_priors
from zeroair_pl.priors.tiling import LEAST_PIXELS, Tiling, padded, within_memory
from zeroair_pl.ranges import Range
from zeroair_pl.tensors.memory import is_out_of_memory


class DenoiserNetwork(Prior):
    """A denoiser with an input for the noise level, at any image size. ``UNetPrior`` makes one where its path is one.

        x0 = f(x, σ)

    Its error at each noise level, which sets its weight relative to the photo, is measured at its first use.

    Args:
        path: a checkpoint file of a network that takes a map of the noise level, such as DRUNet; a TorchScript or ONNX
            file with its convention in ``NAME.json`` beside it; a folder of diffusers with a flow-matching or an EDM
            scheduler; or a function ``function(x, sigma)`` as ``package.module:name`` or ``file.py:name``.
        precision: arithmetic of a torch network; ONNX and functions have their own.
        tile: largest side in pixels of the tiles of large images.
        overlap: of neighboring tiles, in pixels; by default a quarter of the tile, at most 64.
        pixels_at_once: number of pixels that the network computes at once, which limits its memory.
        photos: clean photos for measuring its error; by default pieces of the example photos.

    Raises:
        ConfigError: ``path`` does not exist, a package or a convention is missing, or the network takes no noise level.
    """

    def __init__(
        self,
        path: str,
        precision: Precision = "bfloat16",
        tile: Annotated[int | None, Range(1)] = None,
        overlap: Annotated[int | None, Range(0)] = None,
        pixels_at_once: Annotated[int, Range(LEAST_PIXELS)] = 2**20,
        photos: str | None = None,
    ) -> None:
        self._settings: dict[str, Any] = {
            "path": path, "tile": tile, "overlap": overlap, "pixels_at_once": pixels_at_once, "photos": photos
        }  # fmt: skip
        self.found = found = find_denoiser(path)
        self.name, self.path, self.precision = found.name, path, getattr(torch, precision)
        if found.network is not None:
            found.network.to(memory_format=torch.channels_last)
        self.tiling: Tiling = Tiling(tile, overlap, pixels_at_once, found.multiple, found.size)
        decides = f"{found.digest} {self.precision}" if found.digest else ""
        try:
            self.calibration = calibrated(self.denoise, self.name, decides, photos)
        except ZeroAIRError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if found.kind == "function":
                raise ConfigError(f"prior.path: {path} cannot be run: {describe(error)}") from error
            raise ConfigError(
                f"prior.path: {path} cannot be run: {_said(error)}. Is it asked in the right way (noise, range)?"
            ) from error

    def to(self, device: torch.device | str) -> Prior:
        if self.found.network is not None:
            self.found.network.to(device)
        return super().to(device)

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{super().fingerprint()} {self.found.digest}".encode()).hexdigest()

    def to_float32(self) -> Prior | None:
        if self.precision is torch.float32 or self.found.network is None:
            return None
        return DenoiserNetwork(precision="float32", **self._settings)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        with torch.no_grad():
            return within_memory(self, self._estimate, x, sigma)[0]

    def _estimate(self, x: Tensor, sigma: Tensor) -> list[Tensor]:
        height, width = x.shape[-2:]
        shown = padded(x, self.found.multiple, self.tiling.least)
        if self.found.kind == "function":
            shown = shown.clone()  # a function may change what it is given
        with autocast(x, self.precision if self.found.network is not None else torch.float32):
            found = self.found.function(shown, sigma.to(x))
        if not isinstance(found, Tensor) or found.shape != shown.shape:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ConfigError(f"prior.path: {self.path} made {got} of {tuple(shown.shape)}; expected the same shape")
        return [found.float()[..., :height, :width].clamp(0, 1)]


def _said(error: Exception) -> str:
    """One line on the error of a network; of TorchScript's, which begins with its own code, the last line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join((lines[-1] if "TorchScript" in str(error) else " ".join(lines)).split()).rstrip(".")[:300]


def is_denoiser(path: str) -> bool:
    """Whether ``path`` names a denoiser other than a folder, a name or a hub id of a variance-preserving model."""
    if path in bundled_priors():
        return False
    place = at_home(path)
    if place.is_dir():
        from zeroair_pl.priors.denoisers.folders import kind_of

        return bool(kind_of(place))
    return place.is_file() or functions.names_function(path)


def find_denoiser(path: str) -> Denoiser:
    """The denoiser that ``path`` names, for which ``is_denoiser`` holds.

    Raises:
        ConfigError: the denoiser cannot be used; the message states what is missing.
    """
    place = at_home(path)
    if place.is_dir():
        from zeroair_pl.priors.denoisers.folders import from_folder

        return from_folder(place)
    if place.is_file():
        from zeroair_pl.priors.denoisers.files import from_file

        return from_file(place)
    if not functions.names_function(path):
        raise ConfigError(f"prior.path: {path!r} is no denoiser; expected a file, a folder or a function, module:name")
    return functions.from_function(path)


def denoiser_at(path: Any = None, *args: Any, adapt: Any = None, **options: Any) -> DenoiserNetwork | None:
    """The denoiser that the arguments of ``UNetPrior`` name; ``None`` if ``path`` names a UNet.

    Raises:
        ConfigError: it is to be adapted, which only a UNet can be.
    """
    if not isinstance(path, str) or not is_denoiser(path):
        return None
    if adapt is not None:
        raise ConfigError(f"prior.adapt: {path} is a denoiser, which stays as it is; only a UNet is adapted.")
    return DenoiserNetwork(path, *args, **options)


class OrDenoiser:
    """Base of ``UNetPrior``, which makes a ``DenoiserNetwork`` instead if its path names one.

    So ``prior.path`` is enough for all kinds of priors. This is a class of its own, because tools that read the
    arguments of ``UNetPrior`` would otherwise find those of ``__new__``.
    """

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return denoiser_at(*args, **options) or super().__new__(cls)
