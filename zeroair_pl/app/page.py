"""The page of a server: connects its components with the sessions of its users."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from html import escape
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import gradio as gr

from zeroair_pl.app import views
from zeroair_pl.app.brush import brush
from zeroair_pl.app.compare import Zoom, before, compare, start
from zeroair_pl.app.kinds import kinds
from zeroair_pl.app.layout import Layout
from zeroair_pl.app.pictures import painted
from zeroair_pl.app.session import Session
from zeroair_pl.app.shots import Shot
from zeroair_pl.app.studio import Studio, Wish
from zeroair_pl.errors import InputError
from zeroair_pl.jobs.records import in_words

_FETCH = "() => document.querySelector('#zr-file')?.click()"
_FILL = "Paint what is missing; it is filled."
_WORK = "Paint where to work; the rest stays as it is. Without paint, all of the photo is restored."

Update = dict[Any, Any]


class Page:
    """The page of one server.

    Args:
        studio: restores the photos of all users.
        folder: for the files of all users.
    """

    def __init__(self, studio: Studio, folder: Path) -> None:
        self.studio, self.folder = studio, folder
        self.sessions: dict[str, Session] = {}
        self.kinds = {kind.name: kind for kind in kinds()}
        with gr.Blocks(
            title="zeroair", fill_width=True, analytics_enabled=False, delete_cache=(3600, 24 * 3600)
        ) as self.blocks:
            self.at = Layout(list(self.kinds.values()))
            self._connect()

    def close(self) -> None:
        """Ends all runs and removes all files."""
        for session in [*self.sessions.values()]:
            session.close()
        self.sessions.clear()

    def _connect(self) -> None:
        at = self.at
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        all_ = [at.said, at.listing, at.progress, at.view, at.result, at.strength, at.all, at.found, at.learned]
        all_ += [at.by_kind, *at.kind_strengths, at.brush, at.restore, at.again, at.stop, at.clear]
        wish = [at.kind, *at.sliders.values()]
        # Gradio's preprocessing would drop the original names of uploaded files, so it is off.
        at.drop.upload(self._add, at.drop, [*all_, at.drop], preprocess=False, **quiet)
        at.folder.upload(self._add, at.folder, [*all_, at.drop], preprocess=False, **quiet)
        at.clear.click(self._clear, None, all_, **quiet)
        at.listing.pick(self._pick, None, all_, **quiet)
        at.kind.change(self._choose, at.kind, [at.kind, at.brush, *at.groups.values()], **quiet)
        at.restore.click(self._run, wish, all_, concurrency_limit=None, **quiet)
        at.again.click(self._run_again, wish, all_, concurrency_limit=None, **quiet)
        at.stop.click(self._stop, None, at.stop, **quiet)
        at.strength.release(self._blend, at.strength, [at.view, *at.kind_strengths], **quiet)
        for slider in at.kind_strengths:
            slider.release(self._blend_kinds, at.kind_strengths, [at.view, at.strength], **quiet)
        at.view.zoom(self._zoom, None, at.view, **quiet)
        at.brush.paint(self._paint, None, None, **quiet)
        at.download.click(self._save, None, at.file, **quiet).success(None, js=_FETCH)
        at.all.click(self._save_all, None, at.file, **quiet).success(None, js=_FETCH)
        self.blocks.unload(self._gone)

    def _session(self, request: gr.Request) -> Session:
        key = str(request.session_hash)
        if key not in self.sessions:
            self.sessions[key] = Session(self.studio, self.folder / uuid4().hex)
        return self.sessions[key]

    def _add(self, files: list[dict[str, Any]] | None, request: gr.Request) -> Update:
        session, found = self._session(request), []
        for file in files or []:
            path = Path(file["path"]).resolve()
            if path.is_relative_to(self.folder.resolve()):  # a request must not reach other files of this machine
                found.append((path, _own_name(file.get("orig_name") or path.name)))
        said = session.add(found)
        for path, _ in found:
            shutil.rmtree(path.parent, ignore_errors=True)  # removes files that the session did not take
        return {**self._all(session, said), self.at.drop: None}

    def _clear(self, request: gr.Request) -> Update:
        session = self._session(request)
        session.clear()
        return self._all(session)

    def _pick(self, data: gr.EventData, request: gr.Request) -> Update:
        session = self._session(request)
        session.pick(str(data.key))
        return self._all(session)

    def _choose(self, name: str, request: gr.Request) -> Update:
        kind, session = self.kinds[name], self._session(request)
        shown = {group: gr.update(visible=each == name) for each, group in self.at.groups.items()}
        session.fills = kind.needs_missing
        return {self.at.kind: gr.update(info=kind.hint), **shown, self.at.brush: self._brush(session)}

    def _run(self, request: gr.Request, name: str, *values: float) -> Iterator[Update]:
        session = self._session(request)
        yield from self._running(session, self._wish(name, values), None if session.waiting else session.current)

    def _run_again(self, request: gr.Request, name: str, *values: float) -> Iterator[Update]:
        session = self._session(request)
        if session.current is not None:
            yield from self._running(session, self._wish(name, values), session.current)

    def _running(self, session: Session, wish: Wish, only: Shot | None) -> Iterator[Update]:
        last: tuple[Any, ...] = ()
        for shot in session.run(wish, only):
            now = (session.current, shot.status, shot, shot.preview)
            yield self._all(session) if now != last else {self.at.progress: views.progress(session)}
            last = now
        yield self._all(session)

    def _stop(self, request: gr.Request) -> Any:
        self._session(request).stop()
        return gr.update(value="Stopping …", interactive=False)

    def _blend(self, strength: float, request: gr.Request) -> list[Any]:
        session = self._session(request)
        if session.current is not None:
            session.current.strength = float(strength)
        return [self._view(session), *(float(strength) for _ in self.at.kind_strengths)]

    def _blend_kinds(self, request: gr.Request, *strengths: float) -> list[Any]:
        session = self._session(request)
        if (shot := session.current) is None or shot.restored is None:
            return [gr.skip(), gr.skip()]
        shot.strength = {kind: float(each) for kind, each in zip(shot.restored.kinds, strengths, strict=False)}
        return [self._view(session), max(shot.strength.values())]

    def _zoom(self, data: gr.EventData, request: gr.Request) -> str:
        session = self._session(request)
        session.zoom = _zoom_of(data)
        return self._view(session)

    def _paint(self, data: gr.EventData, request: gr.Request) -> None:
        self._session(request).paint(painted(data.mask))

    def _save(self, request: gr.Request) -> str:
        return _written(self._session(request).save)

    def _save_all(self, request: gr.Request) -> str:
        return _written(self._session(request).save_all)

    def _gone(self, request: gr.Request) -> None:
        if session := self.sessions.pop(str(request.session_hash), None):
            session.close()

    def _wish(self, name: str, values: tuple[float, ...]) -> Wish:
        own = [(control, value) for (kind, control), value in zip(self.at.sliders, values, strict=True) if kind == name]
        return Wish(self.kinds[name], tuple(own))

    def _all(self, session: Session, said: str = "") -> Update:
        """Updates of all components that depend on the session; ``said`` is a sentence above the list."""
        at, shot, busy = self.at, session.current, session.running is not None
        view = self._view(session)  # first, since it sets the status of a photo that cannot be read
        done = [each for each in session.shots.values() if each.restored is not None]
        ready = shot is not None and shot.restored is not None
        kinds = shot.restored.kinds[: len(at.kind_strengths)] if shot is not None and shot.restored is not None else []
        tried = shot is not None and shot.status in ("restored", "failed")
        waiting = len(session.waiting)
        label = (
            f"Restore {waiting} photos" if waiting > 1 else "Restore" if waiting or shot is None else "Restore again"
        )
        return {
            at.said: f'<p class="zr-quiet" role="status">{escape(said)}</p>' if said else "",
            at.listing: views.listing(session),
            at.progress: views.progress(session),
            at.view: view,
            at.result: gr.update(visible=ready),
            at.strength: max(map(shot.strength_of, kinds), default=1) if shot is not None else 1,
            at.by_kind: gr.update(visible=ready and len(kinds) > 1),
            **{
                slider: gr.update(
                    visible=kind is not None,
                    label=in_words(kind).capitalize() if kind else "",
                    value=shot.strength_of(kind) if shot is not None and kind else 1,
                )
                for slider, kind in zip_longest(at.kind_strengths, kinds)
            },
            at.all: gr.update(visible=len(done) > 1),
            at.found: views.found(shot),
            at.learned: views.learned(shot),
            at.brush: self._brush(session),
            at.restore: gr.update(interactive=shot is not None and not busy, value=label),
            at.again: gr.update(visible=bool(waiting) and tried, interactive=not busy),
            at.stop: gr.update(visible=busy, value="Stop", interactive=True),
            at.clear: gr.update(interactive=bool(session.shots)),
        }

    def _view(self, session: Session) -> str:
        shot = session.current
        if shot is None:
            return start()
        if (shown := shot.shown) is not None:
            whole = shot.restored is not None
            note = "" if whole else "A preview; the whole photo follows."
            return compare(shown, shot.name, note, session.zoom if whole else None)
        photo = session.photo(shot)
        return before(photo.pixels, shot.name) if photo is not None else ""

    def _brush(self, session: Session) -> Any:
        """The picture to paint on; drawn only if the photo or the kind has changed, since drawing erases the paint."""
        shot, drawn = session.current, (session.current, session.fills)
        if drawn == session.drawn:
            return gr.skip()
        session.drawn = drawn
        photo = session.photo(shot) if shot is not None else None
        return brush(shot, photo.pixels if photo is not None else None, _FILL if session.fills else _WORK)


def _written(save: Callable[[], Path]) -> str:
    """The file that ``save`` writes; the page shows why it cannot."""
    try:
        return str(save())
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _zoom_of(data: gr.EventData) -> Zoom | None:
    """The part that the page asks for; ``None`` for the whole photo, or for numbers that are none."""
    try:
        x, y = (min(1.0, max(0.0, float(each))) for each in (data.x, data.y))
        return Zoom(x, y, int(data.width), int(data.height))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _own_name(name: str) -> str:
    """The last part of a file's name; both ``/`` and ``\\`` separate parts."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return last if last not in ("", ".", "..") else "photo"
