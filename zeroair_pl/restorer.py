"""Restores photos in memory: encoded photos in, encoded photos and their rows out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.api import Method
from zeroair_pl.config.calling import Configs
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.jobs.batches import Batches, batch_size
from zeroair_pl.jobs.records import Row, Status, digest
from zeroair_pl.jobs.task import Task, fails_alone
from zeroair_pl.method.shares import Strength, file_of, steps_of
from zeroair_pl.photos.reading import decode_photo, writable
from zeroair_pl.photos.source import Source
from zeroair_pl.photos.writing import suffix_for
from zeroair_pl.tensors.trainer import device_of

Batch = dict[str, NDArray[Any]]

_NEEDED = ("path", "bytes")
_COLUMNS = {
    name: kind for name, kind in get_type_hints(Row).items() if name != "input" and name[:4] not in ("psnr", "ssim")
}
# A column has one type, also if photos fail: the parts of a data set could not be joined otherwise.
_UNKNOWN: dict[Any, tuple[type, float]] = {int | None: (np.int64, 0), float | None: (np.float64, np.nan)}


class Restorer:
    """``zeroair restore`` for batches of photos in memory, with the settings and the prior loaded once.

        restorer = zeroair_pl.Restorer("auto", sampling={"steps": 8})
        restored = restorer({"path": ["trip/harbour.jpg"], "bytes": [Path("trip/harbour.jpg").read_bytes()]})

    A photo's bytes and row are those of a run over files of the same names. Its random numbers depend only on the seed
    and on the last part of its path.
    One process has one device, and is no rank of torchrun or SLURM, even if it has inherited their variables.
    Nothing is printed and no file is written.

    As a class it is what ``map_batches`` of Ray Data takes, ``photos.map_batches(Restorer, concurrency=4)`` of what
    ``ray.data.read_binary_files(..., include_paths=True)`` reads. For one photo, or one that is decoded already,
    ``Method.restore`` is simpler.

    Args:
        config: as for ``Method.from_config``.
        settings: as for ``Method.from_config``.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible, or has no place here.
    """

    def __init__(self, config: Configs = "auto", **settings: Any) -> None:
        self.method = Method.from_config(config, **settings)
        self._fitting, self._plan = self.method.fitting(), self.method.plan()
        self._device = device_of(self._fitting.trainer)

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
        done: list[tuple[Row, bytes]] = [(Row("", path), b"") for path in paths]
        for i, task in self._fitted(paths, batch["bytes"]):
            done[i] = _encoded(task, paths[i], batch["bytes"][i], self._plan.strength)
        columns = {name: v if isinstance(v, np.ndarray) else _objects(list(v)) for name, v in batch.items()}
        columns["bytes"] = _objects([data for _, data in done])
        rows = [row for row, _ in done]
        return {**columns, **{name: _column([getattr(r, name) for r in rows], _COLUMNS[name]) for name in _COLUMNS}}

    def _fitted(self, paths: list[str], contents: Sequence[Any] | NDArray[Any]) -> Iterator[tuple[int, Task]]:
        """Each photo with its index in the batch, as soon as it is done."""
        places: dict[int, int] = {}
        waiting = Batches(self._batch)

        def ended(tasks: list[Task]) -> Iterator[tuple[int, Task]]:
            self._fitting.fit(tasks)
            for task in tasks:
                yield places.pop(id(task)), task

        for i, (path, content) in enumerate(zip(paths, contents, strict=True)):
            task = self._decoded(path, content)
            if task.photo is None:
                yield i, task
                continue
            places[id(task)] = i
            waiting.add(task)
            while ready := waiting.ready():
                yield from ended(ready)
        while ready := waiting.oldest():
            yield from ended(ready)

    def _decoded(self, path: str, content: object) -> Task:
        """One photo, ready to be fitted; or the reason why it cannot be."""
        name = path.replace("\\", "/").rpartition("/")[2]
        task = Task(Source(Path(name), Path(name).stem), Row(Path(name).stem, path), plan=self._plan)
        with fails_alone(task):
            if name in ("", ".", ".."):
                raise InputError(f"{path or 'a photo'}: its path names no file.")
            if not isinstance(content, bytes | bytearray | memoryview):
                raise InputError(f"{path}: its bytes are missing (of type {type(content).__name__}).")
            if content:
                depends = {"file": name, "sha256": hashlib.sha256(content).hexdigest(), **self._plan.depends}
                task.row = replace(task.row, settings=digest(depends))
            photo = decode_photo(bytes(content), Path(name))
            task.row = replace(task.row, height=photo.size[0], width=photo.size[1])
            task.photo = photo
        return task

    def _batch(self, task: Task) -> int:
        assert task.photo is not None
        return batch_size("auto", task.photo, self._plan.method, self._device)


def _encoded(task: Task, path: str, content: bytes, strength: Strength) -> tuple[Row, bytes]:
    """The row and the restored file."""
    data, name = b"", task.source.path
    with fails_alone(task):
        if task.result is not None and task.photo is not None:
            output, result = Path(f"{name.stem}{suffix_for(name, task.photo)}"), task.result
            own = bytes(content) if writable(content) else None
            steps = steps_of(result.phi[0], result.restored[0], task.photo) if isinstance(strength, dict) else []
            data = file_of(
                output, result.restored[0], task.photo, strength, own, task.row.kind, steps, task.unchanged
            )  # fmt: skip
            if task.unchanged and own is None:
                task.row = replace(task.row, note="; ".join(filter(None, [task.row.note, task.no_copy()])))
            status: Status = "unchanged" if task.unchanged else "restored"
            task.row = replace(task.row, status=status, output=output.name)
    reason = task.row.reason
    if reason.startswith(f"{name}:") or reason.startswith(f"{name} "):
        reason = path + reason.removeprefix(str(name))
    return replace(task.row, reason=reason), data


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
