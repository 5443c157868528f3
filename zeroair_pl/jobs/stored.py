"""Keeps the restoration at strength 1 in the output folder, so that another strength needs no new fit.

At strength 1, and where the photo was left as it is, the output itself is that restoration, and no other file is
stored. At any other strength, ``.zeroair/NAME.full`` beside the record is the file that strength 1 would have written.
Any strength is mixed from the pixels in that file (see ``blending``), so a result is the same whether its strength was
chosen before or after the fit.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from zeroair_pl.jobs.records import FINISHED, Record, Sidecars, digest
from zeroair_pl.photos.ownership import digest_of


def name_of(sidecars: Sidecars, photo: str) -> str:
    """The stored file of the photo called ``photo``, as a name in the output folder."""
    return sidecars.path(photo).with_suffix(".full").relative_to(sidecars.folder.parent).as_posix()


def fit_of(depends: dict[str, Any]) -> str:
    """A digest of all that a fit depends on: everything in ``depends`` except the strength."""
    settings = {key: value for key, value in depends.get("settings", {}).items() if key != "strength"}
    return digest({**depends, "settings": settings})


def full_of(sidecars: Sidecars, record: Record, depends: dict[str, Any]) -> bytes | None:
    """The bytes of the stored restoration at strength 1; ``None`` if it is missing, changed, or from another fit.

    Args:
        sidecars: of the output folder.
        record: of the photo.
        depends: what the wanted result depends on.
    """
    if record.row.status not in FINISHED or fit_of(record.depends) != fit_of(depends):
        return None
    own = name_of(sidecars, record.row.name)
    name = own if own in record.files else record.row.output
    if name != own and record.row.status != "unchanged" and record.depends.get("settings", {}).get("strength", 1) != 1:
        return None  # the stored file is not known, and the output has only a share of the correction
    try:
        data = Path(sidecars.folder.parent, name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() in record.files.get(name, []) else None


def forget(sidecars: Sidecars, record: Record) -> None:
    """Removes the stored restoration, if ``record``, which was just replaced, says that this program wrote it."""
    name = name_of(sidecars, record.row.name)
    path = Path(sidecars.folder.parent, name)
    if name in record.files and digest_of(path) in record.files[name]:
        path.unlink(missing_ok=True)
