"""What a run has written, to be compared with another run's."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def table_of(out: str | Path = "out") -> list[dict[str, str]]:
    """The rows of the table in ``out``."""
    with Path(out, "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rows(out: str | Path = "out") -> dict[str, dict[str, str]]:
    """The rows by the photo's name."""
    return {row["name"]: row for row in table_of(out)}


def without_times(out: str = "out") -> list[dict[str, str]]:
    """The rows without the seconds."""
    return [{**row, "seconds": ""} for row in table_of(out)]


def content(out: str) -> dict[str, Any]:
    """The content of all written files, without the command line and the times in them."""
    found: dict[str, Any] = {}
    for path in Path(out).rglob("*"):
        name = path.relative_to(out).as_posix()
        if name == "results.csv":
            found |= {f"{name}: {key}": {**row, "seconds": "", "status": ""} for key, row in rows(out).items()}
        elif path.suffix == ".json":
            record = json.loads(path.read_bytes())
            found[name] = {**record, "row": {**record["row"], "seconds": 0}}
        elif (
            path.is_file()
            and name not in ("config.yaml", "report.html")
            and not name.startswith(("tensorboard/", ".zeroair/written/"))
        ):
            found[name] = path.read_bytes()
    return found
