"""Decoding in a separate process: if a damaged file crashes its decoder, this photo fails and the run continues."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zeroair_pl.errors import InputError
from zeroair_pl.photos import decoders
from zeroair_pl.photos.photo import MAX_PIXELS, check_size

_PATIENCE = 600  # seconds


def decode(
    kind: str, path: Path, file: IO[bytes], refusal: Callable[[str], str]
) -> tuple[NDArray[Any], dict[str, Any], dict[str, bytes]]:
    """The pixels (H, W, C) of a file, facts about it, and its metadata; see ``decoders``.

    ``path`` is its name for errors. A file that is only in memory is decoded from a temporary copy.

    Raises:
        InputError: the file cannot be decoded (``refusal(reason)`` is the message), or ``check_size`` refuses its size.
    """
    try:
        with _on_disk(path, file) as place:
            command = [sys.executable, decoders.__file__, kind, str(place), str(MAX_PIXELS)]
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=False
            )
    except subprocess.TimeoutExpired as error:
        raise InputError(refusal(f"no end after {_PATIENCE} s")) from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1][:200].rstrip(".") if done.returncode > 0 and lines else "its decoder crashed"
        raise InputError(refusal(reason))
    (length,) = struct.unpack_from("<Q", done.stdout)
    said = json.loads(done.stdout[8 : 8 + length])
    check_size(path, *said["size"])
    at, blobs = 8 + length, {}
    for key, size in said["blobs"].items():
        blobs[key] = memoryview(done.stdout)[at : at + size]
        at += size
    pixels = np.frombuffer(blobs.pop("pixels"), said["dtype"]).reshape(said["shape"])
    return pixels, said, {key: bytes(value) for key, value in blobs.items()}


@contextmanager
def _on_disk(path: Path, file: IO[bytes]) -> Iterator[Path]:
    if not isinstance(file, io.BytesIO):
        yield path.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="zeroair-") as folder:
        place = Path(folder, f"photo{path.suffix}")
        place.write_bytes(file.getvalue())
        yield place
