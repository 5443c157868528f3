"""A photo's file as it is, for a photo that stays as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zeroair_pl.photos import heif, raw


def original(path: Path, sha256: str = "") -> bytes | None:
    """The bytes of a photo's file; ``None`` where a copy of it is no result, and it has to be written from its pixels.

    That is where its format is only read (HEIC, camera raw and such), where the file is gone, or has changed.

    Args:
        sha256: of the bytes that were read before; empty for any.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if writable(data) and sha256 in ("", hashlib.sha256(data).hexdigest()) else None


def writable(data: bytes) -> bool:
    """Whether the format of a file is one that is written too."""
    return not (raw.kind_of_start(data[: raw.HEAD]) or heif.kind_of_start(data[: raw.HEAD]))
