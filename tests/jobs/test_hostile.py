"""The hostile corpus through ``restore``: each file ends as a correct output, or as one line that says why not."""

from __future__ import annotations

import gc
import os
import re
import signal
import threading
import warnings
from pathlib import Path
from types import FrameType

import pytest
import tifffile
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError

from helpers.command import TOY, run
from helpers.hostile import CASES, EITHER, GOOD, write
from helpers.outputs import table_of
from zeroair_pl.photos.reading import load_photo

HANGS = 600  # seconds; the corpus takes some ten


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Truncated File Read")  # of Pillow, on how the test looks at the files
def test_the_hostile_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("in"))
    before, threads = open_files(), threading.active_count()

    def hangs(*_: int | FrameType | None) -> None:
        raise TimeoutError("a file hangs")

    inherited = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANGS)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            outcome = run(
                "restore", "--images", "in/list.txt", "--degradation", "Haze", "--out", "out", "--report", "false", *TOY
            )
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, inherited)
    rows = {Path(row["input"]).name: row for row in table_of()}
    wrong = []
    lines = [f"{'file':30} {'expected':10} became"]
    for case in CASES:
        row = rows[Path(case.name).name]
        became = row["reason"] or row["status"]
        lines.append(f"{case.name:30} {case.expected if case.expected in (GOOD, EITHER) else 'refused':10} {became}")
        fine = row["status"] == ("restored" if case.expected == GOOD else "failed") or case.expected == EITHER
        if row["status"] == "failed":
            fine &= bool(re.search("" if case.expected in (GOOD, EITHER) else case.expected, became))
            fine &= case.name in became and "\n" not in became and len(became) < 300 and "Error" not in became
            fine &= row["output"] == ""
        else:
            fine &= not row["reason"] and correct(Path("in") / case.name, Path("out") / row["output"])
        if not fine:
            wrong.append(lines[-1])
    print("", *lines, sep="\n")  # which pytest shows with -s
    assert wrong == []
    assert [str(each.message) for each in said if "PIL" in each.filename] == []
    assert len(CASES) > 100
    assert outcome.status == 1
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) == len(CASES) + sum(row["status"] == "failed" for row in rows.values())
    written = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    outputs = {row["output"] for row in rows.values() if row["output"]}
    assert {name for name in written if not name.startswith(".zeroair/")} == outputs | {"results.csv", "config.yaml"}
    assert len(written) == len(outputs) + len(rows) + 4, "a record or failure each; settings, table, their digests"
    assert (open_files(), threading.active_count()) == (before, threads)


def correct(given: Path, output: Path) -> bool:
    """The same size, kind and metadata, and a picture of the same thing."""
    was, now = load_photo(given), load_photo(output)
    kept = ("size", "format", "dtype", "orientation", "icc_profile")
    same = stored_size(given) == stored_size(output)
    same &= all(getattr(was, name) == getattr(now, name) for name in kept)
    same &= (was.alpha is None) == (now.alpha is None)
    a, b = (F.avg_pool2d(photo.pixels[None], 8) for photo in (was, now))  # the toy prior blurs
    return same and float((a - b).abs().max()) < 0.25


def stored_size(path: Path) -> tuple[int, ...]:
    try:
        with Image.open(path) as image:
            return image.size
    except UnidentifiedImageError:  # a TIFF of a kind that Pillow lacks
        return tuple(tifffile.imread(path).shape[1::-1])
