"""Which files of a folder this program wrote: no other file there is ever replaced or removed.

``FOLDER/.zeroair/written/NAME.sha256`` holds the digest of what this program last wrote to ``FOLDER/NAME``. A file with
other content belongs to the user: it was there before, or was edited since. The files of a photo are remembered
in its own record (see ``records``), by the same rule.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.paths import sha256_of
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.locks import held

FOLDER = ".zeroair"
PATIENCE = 10.0  # seconds to wait until another process has written a file; that takes milliseconds


class OwnFiles:
    """The files of one folder that this program writes, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex, self._depth = threading.RLock(), 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Until its end no other process writes these files, if the file system has locks. Turns may be nested."""
        with self._mutex, contextlib.ExitStack() as stack:
            if not self._depth:
                with contextlib.suppress(OSError):  # a full disk: the next write reports it
                    stack.enter_context(held(self.folder / FOLDER / "written" / ".lock", PATIENCE))
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def check(self, names: Iterable[str]) -> None:
        """Raises ConfigError, with what to do, if a file of the user has one of these names."""
        for name in names:
            if not self.ours(name):
                raise ConfigError(f"{self.folder / name}: {why(self.known(name))} Move it, or name another --out.")

    def known(self, name: str) -> bool:
        """Whether this program ever wrote a file of that name."""
        return self._note(name).is_file()

    def ours(self, name: str) -> bool:
        """Whether the file may be replaced: it does not exist, or has the content that this program wrote."""
        path = self.folder / name
        return not os.path.lexists(path) or digest_of(path) in self._digests(name)

    def edited(self, name: str) -> bool:
        """Whether somebody has changed a file that this program wrote."""
        return self.known(name) and not self.ours(name)

    def keep_aside(self, name: str) -> Path | None:
        """Renames the file if somebody has changed it, so that their changes are not lost; returns its new path."""
        if not self.edited(name):
            return None
        stem, _, suffix = name.rpartition(".")
        number, aside = 1, self.folder / f"{stem}.edited.{suffix}"
        while os.path.lexists(aside):
            number += 1
            aside = self.folder / f"{stem}.edited-{number}.{suffix}"
        os.rename(self.folder / name, aside)
        return aside

    def write(self, name: str, data: bytes) -> None:
        """Writes the file in one step, and remembers it; raises InputError if it is the user's or cannot be written."""
        with self.turn():
            try:
                self._remember(name, hashlib.sha256(data).hexdigest())
            except InputError as error:  # of the note beside it, which users do not know
                raise InputError(str(error).replace(str(self._note(name)), str(self.folder / name))) from error
            write_atomically(self.folder / name, data)

    def move(self, file: Path, name: str) -> None:
        """Gives a file that was just written its name in the folder, and remembers it. Raises as ``write`` does."""
        with self.turn():
            self._remember(name, digest_of(file))
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, self.folder / name)

    def remove(self, name: str) -> None:
        """Removes the file if it is what this program wrote."""
        if self.ours(name):
            (self.folder / name).unlink(missing_ok=True)
            self._note(name).unlink(missing_ok=True)

    def _remember(self, name: str, digest: str) -> None:
        """Called before a replacement: if the program ends in between, old and new content both count as its own."""
        if not self.ours(name):
            raise InputError(f"{self.folder / name}: {why(self.known(name))} It stays.")
        path, digests = self.folder / name, [digest]
        if os.path.lexists(path) and (before := digest_of(path)) != digest:
            digests.append(before)
        if digests != self._digests(name):
            write_atomically(self._note(name), "".join(f"{each}\n" for each in digests).encode())

    def _digests(self, name: str) -> list[str]:
        try:
            return self._note(name).read_text().split()
        except (OSError, ValueError):
            return []

    def _note(self, name: str) -> Path:
        return self.folder / FOLDER / "written" / f"{name}.sha256"


def why(known: bool) -> str:
    """Why a file is not replaced, as a sentence; ``known`` if this program wrote a file of that name before."""
    return "was changed since this program wrote it." if known else "was not written by this program."


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes; empty if it is no file, or cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def written_by_runs(folder: Path) -> frozenset[str]:
    """The names of what earlier runs wrote into ``folder``, by their records."""
    names: set[str] = set()
    notes = folder / FOLDER / "written"
    for path in (folder / FOLDER).rglob("*"):
        if notes in path.parents:
            names.add(path.relative_to(notes).as_posix().removesuffix(".sha256"))
        elif path.suffix == ".json":
            names |= _names_in(path)
    return frozenset(names)


def _names_in(record: Path) -> set[str]:
    try:
        content = json.loads(record.read_bytes())
        row = content["row"]
        return {*content.get("files", {}), str(row["output"]), f"strips/{row['name']}.png"}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
