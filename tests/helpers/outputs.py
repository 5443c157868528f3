"""What a run has written, to be compared with another run's."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def content(out: str) -> dict[str, Any]:
    """The content of all written files, without the command line and the times in them."""
    found: dict[str, Any] = {}
    for path in Path(out).rglob("*"):
        name = path.relative_to(out).as_posix()
        if name == "results.csv":
            with path.open(newline="") as file:
                rows = {row["name"]: {**row, "seconds": "", "status": ""} for row in csv.DictReader(file)}
            found |= {f"{name}: {key}": row for key, row in rows.items()}
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
