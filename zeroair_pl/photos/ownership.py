"""Which files of a folder this program wrote: no other file there is ever replaced or removed.

``FOLDER/.zeroair/written/NAME.sha256`` holds the digest of what this program last wrote to ``FOLDER/NAME``. A file with
another content belongs to somebody else: it was there before, or was edited since. The files of a photo are remembered
in its own record (see ``sidecars``), by the same rule.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.photos.atomic import write_atomically

FOLDER = ".zeroair"


class OwnFiles:
    """The files of one folder that this program writes, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, names: Iterable[str]) -> None:
        """Refuses to begin where a file of somebody else has one of these names.

        Raises:
            ConfigError: naming the file, and what to do.
        """
        for name in names:
            if not self.ours(name):
                raise ConfigError(f"{self.folder / name}: {why(self.known(name))} Move it, or name another --out.")

    def known(self, name: str) -> bool:
        """Whether this program ever wrote a file of that name."""
        return self._note(name).is_file()

    def ours(self, name: str) -> bool:
        """Whether the file may be replaced: there is none, or it is what this program wrote."""
        path = self.folder / name
        return not os.path.lexists(path) or digest_of(path) in self._digests(name)

    def write(self, name: str, data: bytes) -> None:
        """Writes the file in one step, and remembers it.

        Raises:
            InputError: a file of somebody else has that name, or it cannot be written.
        """
        try:
            self._remember(name, hashlib.sha256(data).hexdigest())
        except InputError as error:  # of the note beside it, which no user knows
            raise InputError(str(error).replace(str(self._note(name)), str(self.folder / name))) from error
        write_atomically(self.folder / name, data)

    def move(self, file: Path, name: str) -> None:
        """Gives a file that was just written its name in the folder, and remembers it. Raises as ``write`` does."""
        self._remember(name, digest_of(file))
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, self.folder / name)

    def remove(self, name: str) -> None:
        """Removes the file if it is what this program wrote."""
        if self.ours(name):
            (self.folder / name).unlink(missing_ok=True)
            self._note(name).unlink(missing_ok=True)

    def _remember(self, name: str, digest: str) -> None:
        """Before the file is replaced: whatever ends the program in between, the old and the new content are ours."""
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
    """SHA-256 of a file's bytes; empty for what is no file, or cannot be read."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    except OSError:
        return ""
    return found.hexdigest()
