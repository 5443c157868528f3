"""The session of one user of the page: a list of photos, the one that is shown, and a run over those that wait."""

from __future__ import annotations

import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.app.compare import Zoom
from zeroair_pl.app.pictures import thumbnail
from zeroair_pl.app.shots import Shot
from zeroair_pl.app.studio import News, Stopped, Studio, Wish
from zeroair_pl.errors import InputError, ZeroAIRError, describe
from zeroair_pl.photos.formats import searched
from zeroair_pl.photos.photo import Photo
from zeroair_pl.tensors.memory import is_out_of_memory

if TYPE_CHECKING:
    from zeroair_pl.method.restored import Restored


class Session:
    """The photos of one user.

    Args:
        studio: restores them.
        folder: holds only files of this session; ``close`` removes it.
        most: the most photos in the list.

    Attributes:
        shots: the photos by their keys, in the order of the list.
        current: the photo that is shown.
        running: the photo that is being restored.
        progress, began: the last news of its fit, and when the fit was queued, by ``time.monotonic()``.
        fills: the chosen kind fills what is painted.
        zoom: the part of the photo that is shown at 100 %; ``None`` for the whole photo.
        drawn: the photo that the brush shows, and ``fills`` when it was drawn.
    """

    def __init__(self, studio: Studio, folder: Path, most: int = 500) -> None:
        self.studio, self.folder, self.most = studio, folder, most
        self.shots: dict[str, Shot] = {}
        self.current: Shot | None = None
        self.running: Shot | None = None
        self.progress = News()
        self.began = 0.0
        self.fills = False
        self.zoom: Zoom | None = None
        self.drawn: tuple[Shot | None, bool] = None, False
        self._stop = threading.Event()
        self._count = 0
        folder.mkdir(parents=True)

    def add(self, files: list[tuple[Path, str]]) -> str:
        """Moves uploaded files into the session's folder, and adds them to the list.

        Args:
            files: each with its original name.

        Returns:
            Sentences on the files that were left out, or ``""``.
        """
        known, full, first = searched(), 0, None
        others: list[str] = []
        for path, name in files:
            if Path(name).suffix.lower() not in known or name.startswith("."):
                others.append(name)
                continue
            if len(self.shots) >= self.most:
                full += 1
                continue
            self._count += 1
            key = f"{self._count:04d}"
            kept = self.folder / f"{key}{Path(name).suffix.lower()}"
            shutil.move(path, kept)
            self.shots[key] = shot = Shot(key, kept, name, thumbnail=thumbnail(kept))
            first = first or shot
        if first is not None and self.running is None:
            self.current = first
        said = []
        if others:
            said.append(f"{_some(others)} left out: no photo of a kind that is read here.")
        if full:
            said.append(f"{full} left out: the list takes {self.most} photos.")
        return " ".join(said)

    def pick(self, key: str) -> None:
        """Shows another photo."""
        self.current = self.shots.get(key, self.current)

    def photo(self, shot: Shot) -> Photo | None:
        """The decoded photo; ``None`` if it cannot be read, which marks it as failed."""
        if shot.restored is not None:
            return shot.restored.photo
        try:
            photo = self.studio.load(shot.path, shot.name)
        except ZeroAIRError as error:
            shot.failed(_plain(str(error), shot))
            return None
        shot.size = photo.size
        return photo

    def paint(self, mask: NDArray[np.bool_] | None) -> None:
        """Sets the mask (h, w) of the photo that is shown, True where the brush was; ``None`` removes it."""
        if self.current is not None:
            self.current.mask = mask if mask is not None and mask.any() else None

    @property
    def waiting(self) -> list[Shot]:
        """The photos that a run would restore, in their order."""
        return [shot for shot in self.shots.values() if shot.status == "waiting"]

    def run(self, wish: Wish, only: Shot | None = None) -> Iterator[Shot]:
        """Restores the photos that wait, or only one photo. Yields a photo whenever its state changes.

        ``stop`` ends the run at the next step of the fit. The photo of this fit returns to its earlier state.

        Args:
            wish: how to restore them.
            only: the one photo to restore.
        """
        if self.running is not None:
            return
        self._stop = threading.Event()
        followed = self.current
        for shot in [only] if only is not None else iter(self._next, None):
            if self.current is followed:  # the user has picked no other photo: show the one that is being restored
                self.current = followed = shot
            yield from self._one(shot, wish)
            if self._stop.is_set():
                return

    def _next(self) -> Shot | None:
        return next(iter(self.waiting), None)

    def _one(self, shot: Shot, wish: Wish) -> Iterator[Shot]:
        news: SimpleQueue[News | None] = SimpleQueue()  # None at the end
        self.running, self.progress, self.began = shot, News(), time.monotonic()
        earlier, shot.restored, shot.preview, shot.status = shot.restored, None, None, "running"
        own = replace(wish, mask=shot.mask)
        result = self.studio.restore(shot.path, shot.name, own, news.put, self._stop)
        result.add_done_callback(lambda _: news.put(None))
        try:
            yield shot
            while not result.done() and (found := news.get()) is not None:
                self.progress = found
                if found.preview is not None:
                    shot.preview = found.preview
                yield shot
            try:
                shot.keep(result.result())
            except Stopped:
                self._undo(shot, earlier)
            except Exception as error:
                shot.failed(_plain(_reason(error), shot))
        finally:
            if shot.status == "running":  # the user has left the page
                self._stop.set()
                self._undo(shot, earlier)
            self.running, self.progress = None, News()
        yield shot

    def _undo(self, shot: Shot, earlier: Restored | None) -> None:
        """Returns a photo to its state before a fit that was stopped."""
        shot.restored, shot.preview = earlier, None
        shot.status = "waiting" if earlier is None else "restored"

    def stop(self) -> None:
        """Ends the run."""
        self._stop.set()

    def save(self) -> Path:
        """The result of the photo that is shown, as a file to download.

        Raises:
            InputError: there is none, or it cannot be written.
        """
        if self.current is None or self.current.restored is None:
            raise InputError("There is no restored photo to download.")
        return self.current.save(self.folder / "out")

    def save_all(self) -> Path:
        """All results in one zip file; photos of the same name get a number.

        Raises:
            InputError: one of them cannot be written.
        """
        path = self.folder / "out" / "restored.zip"
        path.parent.mkdir(exist_ok=True)
        used: set[str] = set()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # photos are compressed already
            for shot in self.shots.values():
                if shot.restored is None:
                    continue
                name, count = Path(shot.output()), 1
                while str(name).casefold() in used:
                    count += 1
                    name = Path(f"{Path(shot.output()).stem} ({count}){name.suffix}")
                used.add(str(name).casefold())
                file = shot.save(self.folder / "out")
                archive.write(file, str(name))
                file.unlink()
        return path

    def clear(self) -> None:
        """Empties the list and removes its files."""
        self.stop()
        for shot in self.shots.values():
            shot.forget()
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.shots, self.current = {}, None

    def close(self) -> None:
        """Ends the session and removes its folder."""
        self.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _reason(error: Exception) -> str:
    if isinstance(error, ZeroAIRError):
        return str(error)
    what: Any = describe(error)
    return f"memory ran out ({what})" if is_out_of_memory(error) else what


def _plain(reason: str, shot: Shot) -> str:
    """The reason with the photo's name instead of the path of its uploaded file."""
    return reason.replace(str(shot.path), shot.name)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
