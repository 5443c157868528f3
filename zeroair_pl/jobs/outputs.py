"""The output folder of a run: which file goes where, the table of results, and what is finished already."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zeroair_pl import console
from zeroair_pl.config.files import read_config
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.inspection.pages import PICTURES
from zeroair_pl.jobs.names import check_folder, check_writable
from zeroair_pl.jobs.records import FINISHED, INTERRUPTED, Record, Records, Row, as_table
from zeroair_pl.photos.atomic import clear_leftovers
from zeroair_pl.photos.finding import numbered
from zeroair_pl.photos.ownership import FOLDER, OwnFiles, digest_of, why
from zeroair_pl.photos.source import Source

TABLE, CONFIG = "results.csv", "config.yaml"
_BESIDE = 1_000_000  # bytes that a photo's pictures and log may take, beside its output

# The table is written as a whole, which takes long for a long list. So a long table is not written after each photo;
# the records say at any moment which photos are finished.
_SHORT = 100  # rows of a table that is written after each photo
_PAUSE = 60.0  # seconds between two writes of a longer table


class Outputs:
    """Paths, records and table of one output folder, which is made if it does not exist.

    No file there is replaced that this program did not write; see ``ownership``.

    Args:
        read_only: do not make the folder.

    Attributes:
        names: of the photos of this run, in the order of their list and of the table.
        rows: of this run so far, by name.
        earlier: the rows of all photos that the folder knows, by name.
        current: the table on disk has all rows.
        trouble: why the table could not be written the last time, or ``""``.

    Raises:
        ConfigError: the folder cannot be made or written, or holds a ``results.csv`` or ``config.yaml`` that this
            program did not write.
    """

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self.folder, self.results, self.board = folder, folder / TABLE, folder / "tensorboard"
        self.records, self._own = Records(folder), OwnFiles(folder)
        check_folder(folder)
        self._own.check(name for name in (TABLE, CONFIG) if not self._own.edited(name))
        self._new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        self._began = time.time()
        self._before: bytes | None = None
        self.names: list[str] = []
        try:
            if read_only:
                check_writable(folder)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            self.withdraw()
            raise ConfigError(f"--out {folder}: cannot be written ({error.strerror or error}).") from error
        self._names_of: dict[str, str] = {}
        self._shown: dict[str, dict[str, Any]] = {}
        self.earlier: dict[str, Row] = {}
        self._refresh()
        self.rows: dict[str, Row] = {}
        self.trouble = ""
        self.current = False
        self._written = -_PAUSE

    def _refresh(self) -> None:
        """Reads the records that this and other processes have written since the last time."""
        for found in self.records.changed():
            self.earlier[found.row.name] = found.row
            if "run" not in found.depends:  # not a failure
                self._names_of[found.photo] = found.row.name
                self._shown[found.row.name] = {**found.shown, "photo": found.photo}

    def named(self, sources: Sequence[Source]) -> list[Source]:
        """The photos of this run with the names that the folder has for them; new names get a number if taken.

        So the result of a photo stays in one place, however the photo is listed.
        """
        known = [self._names_of.get(os.path.realpath(source.path)) for source in sources]
        taken = {name.casefold() for name in known if name is not None}
        pairs = zip(sources, known, strict=True)
        found = [replace(source, name=name or numbered(source.name, taken)) for source, name in pairs]
        self.names = [source.name for source in found]
        return found

    def config(self) -> dict[str, Any]:
        """The settings that the folder was made with; empty if there are none, or somebody has edited them."""
        path = self.folder / CONFIG
        return read_config(path).values if path.is_file() and self._own.ours(CONFIG) else {}

    def begin(self, config: str, correction: bool = False) -> None:
        """Writes the settings of this run, and removes what killed runs left behind.

        After a ``correction`` of some photos the folder keeps its own settings. Raises InputError if they cannot be
        written, ConfigError if those of an earlier run cannot be read.
        """
        self.clear_leftovers()
        path, data = self.folder / CONFIG, config.encode("utf-8", "surrogateescape")
        if correction or not data:
            return
        with self._own.turn():
            try:
                self._before = path.read_bytes() if path.is_file() else b""
            except OSError as error:
                raise ConfigError(f"{path}: cannot be read ({error.strerror or error}).") from error
            if self._before != data:
                self._keep_aside(CONFIG)
                self._own.write(CONFIG, data)

    def clear_leftovers(self) -> None:
        """Removes what killed processes left in the folders that this run writes to.

        Other folders are not searched, since ``--out .`` may hold anything.
        """
        parents = {name.rpartition("/")[0] for name in self.names}
        clear_leftovers(self.folder / FOLDER / "written")
        for root in ("", "strips", "maps", PICTURES, FOLDER):
            for parent in parents | {""}:
                clear_leftovers(self.folder / root / parent)

    def withdraw(self) -> None:
        """Restores the folder to what it was, after a run that was refused before any photo was done."""
        from zeroair_pl.inspection.tensorboard import EVENTS, run_folder

        if self._before is not None:
            if self._before:
                self._own.write(CONFIG, self._before)
            else:
                self._own.remove(CONFIG)
        for name in self.names:
            for file in run_folder(self.board, name).glob(EVENTS):
                if file.stat().st_mtime >= self._began:
                    file.unlink()
        for new in self._new:  # only empty folders are removed: files of others stay
            for parent, _, _ in os.walk(new, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(parent)

    def finished(self, record: Record, settings: str) -> bool:
        """Whether the photo was restored with these settings (see ``Row.settings``), and its output is there."""
        row = record.row
        return row.status in FINISHED and row.settings == settings and (self.folder / row.output).is_file()

    def foreign(self, name: str, photo: str, record: Record | None) -> str:
        """A sentence that says why the file ``name`` of the folder must not be replaced; empty if it may be.

        Args:
            photo: the name of the photo that the file is for.
            record: of the photo.
        """
        path = self.folder / name
        if record is None:
            digests, unknown = [], self.records.path(photo).is_file()
        else:
            digests, unknown = record.files.get(name, []), not record.files
        # A record that is damaged, or from a version without digests, still says that the photo's files are ours.
        if unknown or not os.path.lexists(path) or digest_of(path) in digests:
            return ""
        return f"{path}: {why(bool(digests))}"

    def require_room(self, source: Source) -> None:
        """Raises InputError if less disk space is free than the photo's files are expected to take."""
        needed, free = 2 * source.path.stat().st_size + _BESIDE, shutil.disk_usage(self.folder).free
        if free < needed:
            left, wanted = (f"{size / 1e6:.1f} MB" for size in (free, needed))
            raise InputError(
                f"{source.path}: not started: {self.folder} has {left} left, and its results may take {wanted}."
            )

    def claim(self, record: Record, before: Record | None) -> None:
        """Announces that the files of this photo are about to be replaced; the record ``before`` is no longer valid."""
        files = {} if before is None else before.files
        both = {name: [*record.files.get(name, []), *files.get(name, [])] for name in {**files, **record.files}}
        row = replace(record.row, status="failed", reason=INTERRUPTED)
        claimed = replace(record, row=row, files={name: list(dict.fromkeys(both[name])) for name in both})
        self.records.write(claimed)
        self.earlier[claimed.row.name] = claimed.row

    def fail(self, row: Row, photo: Path, run: str) -> None:
        """Records why a photo failed, for other processes and later tables. An error of writing is ignored."""
        with contextlib.suppress(InputError):
            self.records.write(Record(os.path.realpath(photo), {"run": run}, row), ".failed")

    def add(self, row: Row) -> None:
        """Adds a row of this run. Writes the table if it is short, or was not written for a minute."""
        self.rows[row.name], self.current = row, False
        if max(len(self.rows), len(self.earlier)) <= _SHORT or time.monotonic() - self._written >= _PAUSE:
            self.write_table()

    def write_table(self) -> None:
        """Writes the table in one step: the photos of this run in the order of their list, then all others.

        A photo that this run has not reached keeps its earlier row. The table includes what other processes have
        recorded meanwhile.
        """
        with self._own.turn():
            self._refresh()
            self._write_table()

    def write_page(self, name: str, page: Callable[[list[Row], Mapping[str, dict[str, Any]]], bytes]) -> None:
        """Writes a page about all photos: ``page(rows, shown)``, where ``shown`` has ``Record.shown`` by photo.

        Raises InputError if a file of somebody else has that name, or it cannot be written.
        """
        with self._own.turn():
            self._refresh()
            self._keep_aside(name)
            self._own.write(name, page(self._all_rows(), self._shown))

    def _all_rows(self) -> list[Row]:
        everything = {**self.earlier, **self.rows}
        for name, row in self.rows.items():
            now = self.earlier.get(name, row)
            if now.status in FINISHED and row.status != "failed" and now.settings != row.settings:
                everything[name] = now  # a process with other settings has restored it again
        first = [name for name in self.names if name in self.rows]
        listed = set(first)
        return [everything[name] for name in (*first, *(name for name in everything if name not in listed))]

    def _write_table(self) -> None:
        try:
            self._keep_aside(TABLE)
            self._own.write(TABLE, as_table(self._all_rows()))
            self.current, self.trouble = True, ""
        except InputError as error:  # such as a full disk: the other photos go on
            self.trouble = str(error)
        self._written = time.monotonic()

    def _keep_aside(self, name: str) -> None:
        if aside := self._own.keep_aside(name):
            console.tell(f"note: {self.folder / name} was changed since it was written; it is now {aside}")
