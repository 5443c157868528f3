"""Keeps the restoration at strength 1 in the output folder, so that another strength needs no new fit.

At strength 1, and where the photo was left as it is, the output itself is that restoration, and no other file is
stored. At any other strength, ``.zeroair/NAME.full`` beside the record is the file that strength 1 would have written.
Any strength is mixed from the pixels in that file (see ``blending``), so a result is the same whether its strength was
chosen before or after the fit.

A strength for each kind of a chain also needs the photo after each of its links (see ``shares``). A run with such a
strength stores them as ``.zeroair/NAME.step1`` and so on; after a run without one, it takes a new fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from typing import Any

from zeroair_pl.jobs.records import FINISHED, Record, Records, digest
from zeroair_pl.method.shares import strength_for
from zeroair_pl.photos.ownership import digest_of


class FullStrength:
    """The stored files of one output folder.

    Args:
        records: of the folder.
    """

    def __init__(self, records: Records) -> None:
        self._records, self._folder = records, records.folder.parent

    def name(self, photo: str) -> str:
        """The stored file of the photo called ``photo``, as a name in the output folder."""
        return self._in_folder(photo, ".full")

    def steps(self, photo: str, kind: str) -> list[str]:
        """The stored files of a photo after each link of a chain such as ``"Haze + Blur"``; none for a single kind."""
        count = len(kind.split(" + ")) if " + " in kind else 0
        return [self._in_folder(photo, f".step{i + 1}") for i in range(count)]

    def read(self, record: Record, depends: dict[str, Any]) -> bytes | None:
        """The stored restoration at strength 1; ``None`` if it is missing, changed, or from another fit than
        ``depends`` says."""
        if record.row.status not in FINISHED or fit_of(record.depends) != fit_of(depends):
            return None
        own = self.name(record.row.name)
        name = own if own in record.files else record.row.output
        strength = strength_for(record.depends.get("settings", {}).get("strength", 1), record.row.kind)
        if name != own and record.row.status != "unchanged" and strength != 1:
            return None  # the stored file is not known, and the output has only a share of the correction
        return self._read(record, name)

    def read_steps(self, record: Record) -> list[bytes] | None:
        """The stored files of the photo after each link of its chain; ``None`` if one is missing or changed."""
        found = [self._read(record, name) for name in self.steps(record.row.name, record.row.kind)]
        return None if None in found else [each for each in found if each is not None]

    def forget(self, record: Record, kept: Container[str]) -> None:
        """Removes the stored files of ``record``, which was just replaced, but those ``kept`` and those of others."""
        for name in (self.name(record.row.name), *self.steps(record.row.name, record.row.kind)):
            path = self._folder / name
            if name not in kept and name in record.files and digest_of(path) in record.files[name]:
                path.unlink(missing_ok=True)

    def _in_folder(self, photo: str, suffix: str) -> str:
        return self._records.path(photo, suffix).relative_to(self._folder).as_posix()

    def _read(self, record: Record, name: str) -> bytes | None:
        try:
            data = (self._folder / name).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() in record.files.get(name, []) else None


def fit_of(depends: dict[str, Any]) -> str:
    """A digest of all that a fit depends on: everything in ``depends`` except the strength."""
    settings = {key: value for key, value in depends.get("settings", {}).items() if key != "strength"}
    return digest({**depends, "settings": settings})
