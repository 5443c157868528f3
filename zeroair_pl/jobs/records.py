"""Records: one small file for each photo that says whether it is finished. Several processes may write them.

``OUT/.zeroair/NAME.json`` says from which photo, settings, prior and version the output NAME is made. It is written
twice: before the output as an announcement, and after it as a record. So even after a kill −9, a later run sees that an
output is not finished, and that this program wrote it. ``NAME.failed`` says why the last attempt failed; it is removed
when an attempt succeeds.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from torch import nn

from zeroair_pl.errors import InputError
from zeroair_pl.paths import sha256_of
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.ownership import FOLDER
from zeroair_pl.photos.reading import check_file
from zeroair_pl.resources import version

Status = Literal["restored", "unchanged", "skipped", "failed", "planned"]  # "planned": only in a dry run

_APART = re.compile(r"(?<=[a-z])(?=[A-Z])")
INTERRUPTED = "the run was stopped while its files were written"
_LONGEST = 240  # bytes of a file's name; with the suffix it stays below the usual limit of 255
# Packages whose code is not hashed: a version of this package stands for it.
_LIBRARIES = {"zeroair_pl", "torch", "lightning", "diffusers", *sys.stdlib_module_names}


@dataclass(frozen=True)
class Row:
    """One photo in ``results.csv``.

    Attributes:
        name: of the photo in the output folder, without a suffix.
        input: path of the photo.
        output: its restored file, relative to the output folder.
        status: what became of it.
        reason: why it failed, or why it could not be scored.
        note: where the result departs from the settings, for example because memory ran out.
        width, height: of the photo in pixels.
        kind: its degradation, as ``Auto`` found or as the settings say; empty if it is unchanged.
        amount: share of the degradation that is corrected, 0 to 1; only where ``Auto`` has decided it.
        found: the degradation that was found and the evidence for it, in words.
        noise_level: learned standard deviation of its noise, in units of [0, 1].
        nfe: number of function evaluations: how many images the prior has denoised.
        seconds: of the fit.
        psnr_input, ssim_input: of the photo against its reference, where a list names one (PSNR in dB).
        psnr, ssim: of the restored photo.
        settings: a digest of all that its result depends on.
    """

    name: str
    input: str
    output: str = ""
    status: Status = "failed"
    reason: str = ""
    note: str = ""
    width: int | None = None
    height: int | None = None
    kind: str = ""
    amount: float | None = None
    found: str = ""
    noise_level: float | None = None
    nfe: int | None = None
    seconds: float | None = None
    psnr_input: float | None = None
    psnr: float | None = None
    ssim_input: float | None = None
    ssim: float | None = None
    settings: str = ""

    @property
    def said(self) -> str:
        """What happened to the photo, in a few words: ``haze, 64 % corrected``."""
        if self.amount is not None:
            return f"{in_words(self.kind)}, {self.amount:.0%} corrected".replace("%", " %")
        return in_words(self.kind) if self.kind not in ("", "Noise") else self.found


COLUMNS = [f.name for f in fields(Row)]
_DIGITS = {"amount": 3, "noise_level": 5, "seconds": 2, "psnr_input": 3, "psnr": 3, "ssim_input": 4, "ssim": 4}
FINISHED: tuple[Status, ...] = ("restored", "unchanged")  # there is a result


def in_words(kind: str) -> str:
    """``LowLight + Noise`` as ``low light + noise``; a word in capitals stays as it is."""
    return " ".join(word if word.isupper() else _APART.sub(" ", word).lower() for word in kind.split(" "))


def as_table(rows: Iterable[Row]) -> bytes:
    """The bytes of ``results.csv`` with these rows, in this order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = [(column, getattr(row, column)) for column in COLUMNS]
        writer.writerow([f"{cell:.{_DIGITS[name]}f}" if isinstance(cell, float) else cell for name, cell in cells])
    # A file's name may hold bytes that are no UTF-8. Python keeps them as surrogates, the table as \\udcff.
    return text.getvalue().encode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Record:
    """The record of a photo that was restored, or whose files are being written; or why it could not be restored.

    Attributes:
        photo: absolute path of the photo, links resolved.
        depends: all that the result depends on; see ``dependencies`` and ``of_photo``. Of a failure, ``run``: a digest
            of the settings that it failed with.
        row: as in the table. While the files are being written, its status is ``failed``, as interrupted.
        files: SHA-256 digests of the files that this program wrote for the photo, by the file's name in the output
            folder. An announcement has the digests of the files that are there and of those that will be written.
        choice: the photo's own settings, by the names in ``choices.Choice``.
        shown: what the page of the folder shows of the photo; see ``jobs.report``.
    """

    photo: str
    depends: dict[str, Any]
    row: Row
    files: dict[str, list[str]] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)


class Records:
    """The files of the records and failures in the output folder ``out``."""

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER
        self._dates: dict[str, int] = {}  # last change of each file that ``changed`` has read, in nanoseconds

    def path(self, name: str, suffix: str = ".json") -> Path:
        """The file of the photo called ``name``: its record, or ``.failed``, ``.claim``, ``.ckpt`` and so on."""
        parent, slash, last = name.rpartition("/")
        if len(os.fsencode(last)) > _LONGEST:
            last = hashlib.sha256(os.fsencode(last)).hexdigest()
        return self.folder / f"{parent}{slash}{last}{suffix}"

    def read(self, name: str, suffix: str = ".json") -> Record | None:
        """The record of the photo called ``name``; ``None`` if there is none, or none that can be read."""
        return _read(self.path(name, suffix))

    def write(self, record: Record, suffix: str = ".json") -> None:
        """Replaces the record of this photo in one step; raises InputError if it cannot be written."""
        text = json.dumps(asdict(record), indent=1, default=str)  # ASCII: a file's name need not be valid Unicode
        write_atomically(self.path(record.row.name, suffix), text.encode())

    def changed(self) -> Iterator[Record]:
        """Reads all records and failures, sorted by path; later calls give only those written since the last call."""
        for parent, folders, names in os.walk(self.folder):
            folders.sort()
            for name in sorted(names, key=lambda name: (name.rpartition(".")[0], name.endswith(".failed"))):
                path = os.path.join(parent, name)
                if not name.endswith((".json", ".failed")) or (date := modified(path)) == self._dates.get(path):
                    continue
                self._dates[path] = date
                if (found := _read(Path(path))) is not None:
                    yield found


def modified(path: str | Path) -> int:
    """When a file was last changed, in nanoseconds; 0 if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> Record | None:
    try:
        content = json.loads(path.read_bytes())
        row = Row(**{key: value for key, value in content["row"].items() if key in COLUMNS})
        own = [content.get(key, {}) for key in ("files", "choice", "shown")]
        return Record(content["photo"], content["depends"], row, *own)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # missing, damaged or not ours: the photo counts as unfinished


def dependencies(settings: dict[str, Any], prior: str, objects: Iterable[object]) -> dict[str, Any]:
    """All that every result of a run depends on: version, settings, prior, and the code of classes that are not ours.

    Args:
        settings: those that can change a result.
        prior: ``Prior.fingerprint()``.
        objects: that take part in a fit. The file of a class that is not from this package and its libraries is hashed,
            since its author may change it at any time.
    """
    code: dict[str, str] = {}
    parts = [part for each in objects for part in (each.modules() if isinstance(each, nn.Module) else [each])]
    for kind in {kind for part in parts for kind in type(part).__mro__}:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        if file and kind.__module__.partition(".")[0] not in _LIBRARIES and os.path.isfile(file):
            code[kind.__name__] = sha256_of(Path(file))
    return {"version": version(), "settings": settings, "prior": prior, "code": dict(sorted(code.items()))}


def of_photo(path: Path, dependencies: dict[str, Any]) -> dict[str, Any]:
    """All that the result of the photo at ``path`` depends on: its bytes, and its name, which seeds random numbers.

    Raises InputError if it is missing, no regular file, empty, or unreadable.
    """
    check_file(path)
    try:
        return {"file": path.name, "sha256": sha256_of(path), **dependencies}
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error


def digest(depends: dict[str, Any]) -> str:
    """16 hexadecimal digits that change with anything in ``depends``."""
    return hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()[:16]
