"""The restoration with all of its correction, kept in the output folder: another strength needs no new fit.

At strength 1, and where the photo was left as it is, it is the output itself, and nothing more is stored. At any other
strength it is beside the record, as ``.zeroair/NAME.full``: the file that strength 1 would have written. Every share is
mixed from the pixels in that file (see ``blending``), so that it makes no difference when a strength was chosen.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from zeroair_pl.jobs.records import FINISHED, Record, Sidecars, digest
from zeroair_pl.photos.ownership import digest_of


def name_of(sidecars: Sidecars, photo: str) -> str:
    """The stored file of the photo called so, as a name in the output folder."""
    return sidecars.path(photo).with_suffix(".full").relative_to(sidecars.folder.parent).as_posix()


def fit_of(depends: dict[str, Any]) -> str:
    """A digest of all that a fit depends on, which is all but the strength."""
    settings = {key: value for key, value in depends.get("settings", {}).items() if key != "strength"}
    return digest({**depends, "settings": settings})


def full_of(sidecars: Sidecars, record: Record, depends: dict[str, Any]) -> bytes | None:
    """The stored restoration of the fit that ``depends`` states; ``None`` where it is missing or not what was written.

    Args:
        record: of the photo.
    """
    if record.row.status not in FINISHED or fit_of(record.depends) != fit_of(depends):
        return None
    own = name_of(sidecars, record.row.name)
    name = own if own in record.files else record.row.output
    if name != own and record.row.status != "unchanged" and record.depends.get("settings", {}).get("strength", 1) != 1:
        return None  # lost, and the output has but a share
    try:
        data = Path(sidecars.folder.parent, name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() in record.files.get(name, []) else None


def forget(sidecars: Sidecars, record: Record) -> None:
    """Removes a stored restoration that the record, which was just replaced, knows as ours."""
    name = name_of(sidecars, record.row.name)
    path = Path(sidecars.folder.parent, name)
    if name in record.files and digest_of(path) in record.files[name]:
        path.unlink(missing_ok=True)
