"""Restores photos for the page, one after the other in one thread, with one prior in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch import Callback
from numpy.typing import NDArray

from zeroair_pl.api import Method, settings_of
from zeroair_pl.app.kinds import Kind
from zeroair_pl.errors import InputError
from zeroair_pl.method.large import is_large, working_size
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.tensors.memory import release, trim

if TYPE_CHECKING:
    from zeroair_pl.method.restored import Restored

PREVIEW = 120_000  # pixels of the small copy that is restored and shown first
LARGE = 1_000_000  # pixels from which on a photo gets such a preview


class Stopped(Exception):
    """A fit was stopped because the user does not want its result any more."""


@dataclass(frozen=True)
class Wish:
    """How one photo is to be restored.

    Attributes:
        kind: of degradation.
        values: the kind's own numbers, by name.
        mask: (h, w), True where the brush was; ``None`` if nothing is painted. For a kind that fills what is missing,
            it marks what is missing; for any other kind, where to work.
    """

    kind: Kind
    values: tuple[tuple[str, float], ...] = ()
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class News:
    """News of a fit: ``done`` of ``total`` steps, or the result of a small copy as a ``preview``."""

    done: int = 0
    total: int = 0
    preview: Restored | None = None


class Studio:
    """Restores photos one by one in its own thread, in the order of the calls.

    Args:
        layers: configs on top of each kind's, such as ``fast``.
        settings: as for ``Method.from_config``, on top of these.
        most: the most megapixels of a photo; larger ones are refused.

    Raises:
        ConfigError: there is no such config, or a setting in it is impossible.
    """

    def __init__(
        self, layers: tuple[str, ...] = (), settings: Mapping[str, Any] | None = None, most: float = 50
    ) -> None:
        self.layers, self.most = layers, most
        self.settings = dict(settings or {})
        settings_of(["auto", *layers], **self.settings)  # raises for a mistake in them before any photo comes
        self.methods: dict[Any, Method] = {}
        # One thread for all fits: torch makes a set of threads for each thread that calls it.
        self._worker = ThreadPoolExecutor(1, "fit")

    def warm(self) -> Future[None]:
        """Loads the prior and makes a small fit, so that the first photo need not wait for this."""

        def first() -> None:
            method = self._method("auto", {})
            gray = np.linspace(0.2, 0.8, 32 * 32, dtype=np.float32).reshape(32, 32)
            replace(method, sampling=replace(method.sampling, steps=2)).restore(gray)

        return self._worker.submit(first)

    def restore(
        self, path: Path, name: str, wish: Wish, tell: Callable[[News], None], stop: threading.Event
    ) -> Future[Restored]:
        """Queues one photo.

        Args:
            path: its file.
            name: its original name, which seeds its random numbers, as on the command line.
            wish: how to restore it.
            tell: ``tell(news)`` is called in the other thread, at each step and with a preview.
            stop: ends the fit at its next step when it is set.

        Returns:
            A future of the result. It raises ``Stopped``, or an error of ``Method.restore``.
        """
        return self._worker.submit(self._restore, path, name, wish, tell, stop)

    def close(self) -> None:
        """Accepts no more photos, and drops those that wait."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def load(self, path: Path, name: str) -> Photo:
        """Decodes a photo.

        Raises:
            InputError: it cannot be read, or has more pixels than the page takes.
        """
        photo = load_photo(path)
        if (pixels := photo.pixels[0].numel()) > self.most * 1e6:
            raise InputError(f"{name}: {pixels / 1e6:.0f} megapixels; this page takes photos of up to {self.most:g}. "
                             "The command line takes larger ones: zeroair restore.")  # fmt: skip
        return photo

    def _restore(
        self, path: Path, name: str, wish: Wish, tell: Callable[[News], None], stop: threading.Event
    ) -> Restored:
        if stop.is_set():
            raise Stopped
        method = self._method(wish.kind.name, wish.kind.settings(dict(wish.values)))
        photo = self.load(path, name)
        mask = None if wish.mask is None else as_size(wish.mask, photo.size)
        if mask is None and wish.kind.needs_missing:
            raise InputError(f"{name}: nothing is painted. Paint what is missing under Brush, then restore.")
        side = {"missing": mask} if wish.kind.needs_missing else {}
        more: dict[str, Any] = {} if mask is None or side else {"mask": mask}
        watch = Watch(tell, stop)
        large = photo.pixels[0].numel() >= LARGE
        if large and is_large(photo.pixels[None], method) and mask is None:
            levels = (method.sampling.steps + 1) // 2  # enough for a first look, in half the time
            quick = replace(method, sampling=replace(method.sampling, steps=levels))
            tell(News(preview=quick.restore(_reduced(photo), name, [watch])))
        del photo  # a large one takes much memory; ``Method.restore`` reads it again
        try:
            return method.restore(path, name, [watch], side, **more)
        finally:
            if large:
                release()
            trim()

    def _method(self, kind: str, settings: dict[str, Any]) -> Method:
        """The method of a kind, made once; all of them share one prior."""
        if (key := (kind, repr(settings))) not in self.methods:
            config = ["auto"] if kind[0].isupper() else [kind]
            given = {**self.settings, **settings}
            if self.methods:
                given["prior"] = next(iter(self.methods.values())).prior
            while len(self.methods) > 32:  # each position of a slider makes one
                del self.methods[list(self.methods)[-1]]
            self.methods[key] = Method.from_config([*config, *self.layers], **given)
        return self.methods[key]


class Watch(Callback):
    """Reports each step of a fit, and ends the fit with ``Stopped`` when ``stop`` is set."""

    def __init__(self, tell: Callable[[News], None], stop: threading.Event) -> None:
        self._tell, self._stop = tell, stop

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._tell(News(batch_idx + 1, int(trainer.num_training_batches)))
        if self._stop.is_set():
            raise Stopped


def as_size(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (h, w) resized to ``size`` (height, width) by the nearest pixel."""
    rows = (np.arange(size[0]) * mask.shape[0]) // size[0]
    columns = (np.arange(size[1]) * mask.shape[1]) // size[1]
    return mask[rows[:, None], columns[None, :]]


def _reduced(photo: Photo) -> Photo:
    """A copy of about ``PREVIEW`` pixels, for the preview."""
    small = working_size(photo.pixels[None], PREVIEW)[0]
    return replace(photo, pixels=small, alpha=None, others=None, beyond=None, side={})
