"""Restores photos that are no files: encoded photos in memory in, encoded photos and their rows out."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.console import silence
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.records import Row

Batch = dict[str, NDArray[Any]]

_NEEDED = ("path", "bytes")
# A batch says which photos, and its caller where they go; pictures and checkpoints would go with the temporary folder.
_NOT_HERE = ("images", "out", "overwrite", "save_maps", "strips", "tensorboard", "checkpoint_every")
_COLUMNS = {
    name: kind for name, kind in get_type_hints(Row).items() if name != "input" and name[:4] not in ("psnr", "ssim")
}
# A column has one type whatever becomes of its photos: the parts of a data set could not be joined otherwise.
_UNKNOWN: dict[Any, tuple[type, float]] = {int | None: (np.int64, 0), float | None: (np.float64, np.nan)}

# What keeps Lightning quiet is the process's.
_TURN = threading.Lock()


class Restorer:
    """``python cli.py restore`` for batches of photos in memory, with the settings and the prior loaded once.

        restorer = zeroair_pl.Restorer("dehaze", sampling={"steps": 8})
        restored = restorer({"path": ["trip/harbour.jpg"], "bytes": [Path("trip/harbour.jpg").read_bytes()]})

    It is the same function: a photo's bytes and row are those of a run over files of the same names. Its random numbers
    come from the seed and the last part of its path, so they do not depend on the rest of the path, on the other photos
    of its batch, or on the process. One process has one device, and is no rank of torchrun or SLURM, even if it has
    inherited their variables.

    As a class it is what ``map_batches`` of Ray Data takes: see ``examples/05_map_over_ray_data.py``.

    Args:
        config: names or paths of configs; later ones override earlier ones.
        settings: any keys of a config, which override the configs; not those that say which files are read and written
            (``images``, ``out``, ``strips``, ``tensorboard`` and such), which have no effect in a config either.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible, or has no place here. Some are found out by the
            first photo alone.
    """

    def __init__(self, config: str | Path | Sequence[str | Path] = "dehaze", **settings: Any) -> None:
        from zeroair_pl.config.commands import prepared
        from zeroair_pl.tensors.modes import own_modes

        if misplaced := [name for name in _NOT_HERE if name in settings]:
            raise ConfigError(f"Restorer: {', '.join(misplaced)} has no place here: photos come and go in batches.")
        off = dict.fromkeys(("save_maps", "strips", "tensorboard"), False)
        with own_modes():
            self._restore, self._settings = prepared("restore", config, {**settings, **off, "checkpoint_every": 0})

    def __call__(self, batch: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Batch:
        """Restores the photos of one batch.

        Args:
            batch: columns ``path`` (where each photo comes from: a path or a URI, whose last part is its name) and
                ``bytes`` (the photo's file), as ``ray.data.read_binary_files(..., include_paths=True)`` gives them.

        Returns:
            The columns of ``batch``, with ``bytes`` replaced by the restored file, and those of ``results.csv`` but
            ``input``, which is ``path``, and the scores. ``output`` is the name for the restored file, without a
            folder. A photo that cannot be restored has status ``failed``, a ``reason`` of one line and no bytes
            (``b""``). Numbers that are not known are 0 or NaN.

        Raises:
            ConfigError: a column is missing, or a setting is impossible.
        """
        if missing := [name for name in _NEEDED if name not in batch]:
            raise ConfigError(
                f"Restorer: the batch has no column {' and no column '.join(map(repr, missing))}. Expected are 'path' "
                "and 'bytes', as ray.data.read_binary_files(..., include_paths=True) gives them; found: "
                f"{', '.join(map(repr, batch)) or 'none'}."
            )
        paths = ["" if path is None else str(path) for path in batch["path"]]
        with tempfile.TemporaryDirectory(prefix="zeroair-") as folder:
            done = self._done(paths, batch["bytes"], Path(folder))
        rows = [row for row, _ in done]
        columns = {name: v if isinstance(v, np.ndarray) else _objects(list(v)) for name, v in batch.items()}
        columns["bytes"] = _objects([data for _, data in done])
        return {**columns, **{name: _column([getattr(r, name) for r in rows], _COLUMNS[name]) for name in _COLUMNS}}

    def _done(self, paths: list[str], contents: Sequence[Any] | NDArray[Any], folder: Path) -> list[tuple[Row, bytes]]:
        """Each photo's row and restored file, by way of files in ``folder``."""
        found: list[tuple[Row, bytes]] = []
        files: dict[str, int] = {}
        for i, (path, content) in enumerate(zip(paths, contents, strict=True)):
            name = path.replace(os.sep, "/").rpartition("/")[2]
            # Each in a folder of its own: its name must stay, since it decides the random numbers.
            file = folder / "in" / str(i) / name
            reason = _put(file, name, content)
            found.append((Row(Path(name).stem, path, reason=f"{path or 'a photo'}: {reason}" if reason else ""), b""))
            if not reason:
                files[str(file)] = i
        out = folder / "out"
        for row in self._run(list(files), out):
            i = files[row.input]
            data = (out / row.output).read_bytes() if row.status == "restored" else b""
            words = {key: getattr(row, key).replace(row.input, paths[i]) for key in ("reason", "note")}
            name = found[i][0].name
            output = f"{name}{Path(row.output).suffix}" if data else ""
            found[i] = replace(row, name=name, input=paths[i], output=output, **words), data
        return found

    def _run(self, files: list[str], out: Path) -> list[Row]:
        """The rows of a run over files, which says nothing: what it would say is in its rows."""
        from zeroair_pl.jobs.ranks import alone
        from zeroair_pl.tensors.modes import own_modes

        if not files:
            return []
        with _TURN, alone(), silence(), own_modes():
            rows: list[Row] = self._restore(**{**self._settings, "images": files, "out": out}).rows
        return rows


def _put(file: Path, name: str, content: object) -> str:
    """Writes a photo's bytes to a file, or says why that cannot be."""
    if name in ("", ".", ".."):
        return "its path names no file."
    if Path(name).suffix.lower() in (".txt", ".csv"):
        return "a list, where a photo was expected."
    if not isinstance(content, bytes | bytearray | memoryview):
        return f"its bytes are missing (of type {type(content).__name__})."
    try:
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    except (OSError, ValueError) as error:
        return f"cannot be handed on ({getattr(error, 'strerror', None) or error})."
    return ""


def _column(values: list[Any], kind: Any) -> NDArray[Any]:
    if kind not in _UNKNOWN:
        return _objects(values)
    dtype, unknown = _UNKNOWN[kind]
    return np.array([unknown if value is None else value for value in values], dtype=dtype)


def _objects(values: list[Any]) -> NDArray[Any]:
    """As objects, since numpy's own strings of bytes lose zeros at their ends."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
