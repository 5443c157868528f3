"""The output folder of a run: which file goes where, the table of results, and what is finished already."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from zeroair_pl.errors import ConfigError
from zeroair_pl.images import Source
from zeroair_pl.saving import write_atomically

Status = Literal["restored", "skipped", "failed"]


@dataclass(frozen=True)
class Row:
    """One photo in ``results.csv``.

    Attributes:
        reason: why it failed, or why it could not be scored.
        noise_level: learned standard deviation of its noise, in units of [0, 1].
        forwards: forward passes of the prior.
        seconds: of the fit.
        psnr_input, ssim_input: of the photo against its reference, where a list names one (PSNR in dB).
        psnr, ssim: of the restored photo.
        settings: a digest of the file and of all settings that its result depends on.
    """

    name: str
    input: str
    output: str = ""
    status: Status = "failed"
    reason: str = ""
    width: int | None = None
    height: int | None = None
    noise_level: float | None = None
    forwards: int | None = None
    seconds: float | None = None
    psnr_input: float | None = None
    psnr: float | None = None
    ssim_input: float | None = None
    ssim: float | None = None
    settings: str = ""


COLUMNS = [f.name for f in fields(Row)]
_WHOLE = ("width", "height", "forwards")
_DIGITS = {"noise_level": 5, "seconds": 2, "psnr_input": 3, "psnr": 3, "ssim_input": 4, "ssim": 4}


class Outputs:
    """Paths and table of one output folder, which is made if it does not exist.

    Raises:
        ConfigError: the folder cannot be made or written, or holds a ``results.csv`` that is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.results, self.board = folder, folder / "results.csv", folder / "tensorboard"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ConfigError(f"--out {folder}: cannot be written ({error.strerror or error}).") from error
        self.earlier = self._read()
        self.rows: dict[str, Row] = {}

    def strip(self, source: Source) -> Path:
        """The picture of the photo before and after."""
        return self.folder / "strips" / f"{source.name}.png"

    def map(self, source: Source, name: str) -> Path:
        """The picture of one map of its degradation."""
        return self.folder / "maps" / f"{source.name}_{name}.png"

    def finished(self, source: Source, settings: str) -> Row | None:
        """The row of an earlier run that restored this very file with these very settings, if its output is there."""
        row = self.earlier.get(source.name)
        if row is None or row.status == "failed" or row.settings != settings:
            return None
        return row if (self.folder / row.output).is_file() else None

    def belongs_to_another(self, output: Path, source: Source) -> bool:
        """Whether the file in the output's place, if any, is no restoration of this photo."""
        row = self.earlier.get(source.name)
        ours = row is not None and self.folder / row.output == output and _same(row.input, source.path)
        return output.exists() and not ours

    def add(self, row: Row) -> None:
        """Adds a row and writes the table in one step, so that it is whole at any moment.

        Rows of this run come first, in the order in which they are added, then those of earlier runs on other photos.
        """
        self.rows[row.name] = row
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for each in {**self.rows, **{k: v for k, v in self.earlier.items() if k not in self.rows}}.values():
            cells = asdict(each)
            writer.writerow({k: f"{v:.{_DIGITS[k]}f}" if isinstance(v, float) else v for k, v in cells.items()})
        write_atomically(self.results, text.getvalue().encode())

    def _read(self) -> dict[str, Row]:
        if not self.results.exists():
            return {}
        try:
            with self.results.open(newline="", encoding="utf-8") as file:
                return {cells["name"]: _row(cells) for cells in csv.DictReader(file)}
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise ConfigError(
                f"{self.results}: not a table of results ({type(error).__name__}: {error}); move it away or name "
                "another folder with --out."
            ) from error


def _row(cells: dict[str, str]) -> Row:
    values: dict[str, Any] = {key: cells[key] for key in COLUMNS}
    for key in (*_WHOLE, *_DIGITS):
        values[key] = (int if key in _WHOLE else float)(values[key]) if values[key] else None
    return Row(**values)


def _same(a: str, b: Path) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)


def digest(source: Source, settings: dict[str, Any]) -> str:
    """16 hexadecimal digits that change with the photo's name, content and date, or with any of the settings."""
    status = source.path.stat()
    content = repr((source.name, status.st_size, status.st_mtime_ns, settings))
    return hashlib.sha256(content.encode()).hexdigest()[:16]
