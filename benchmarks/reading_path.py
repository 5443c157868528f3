"""Which files of the package to read for "restore one photo", and for the mathematics; and which others run.

    python benchmarks/reading_path.py [PHOTO] [--config dehaze] [--steps 4]

It restores the photo by the command line, and lists the files with a function that ran; functions that run while a
module is imported do not count. ``PHOTO_PATH`` and ``MATHEMATICS`` name the files that state the steps, and each must
run. The others help.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import machine
from machine import option

import zeroair_pl

PACKAGE = Path(zeroair_pl.__file__).parent
PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "haze_workshop.png"
MATHEMATICS = (  # in the order in which to read them
    "method/restoration.py",
    "method/sampling.py",
    "guidance/stages.py",
    "guidance/fidelity.py",
    "guidance/matched.py",
    "sampling/matched.py",
    "degradations/base.py",
    "degradations/haze.py",
)
PHOTO_PATH = (
    "cli/program.py",
    "config/commands.py",
    "commands/restore.py",
    "photos/finding.py",
    "jobs/outputs.py",
    "jobs/sharing.py",
    "jobs/pipeline.py",
    "jobs/job.py",
    "jobs/records.py",
    "photos/reading.py",
    "photos/photo.py",
    "jobs/task.py",
    "jobs/fitting.py",
    "method/solve.py",
    "method/fit.py",
    *MATHEMATICS,
    "priors/unet.py",
    "photos/writing.py",
)
EQUATIONS = ("degradations/", "guidance/", "sampling/", "method/restoration.py", "method/sampling.py")


def measure(options: argparse.Namespace) -> int:
    """Prints the files to read, and the others that ran; returns 1 if a file to read did not run."""
    ran = traced(options.photo, options.config, options.steps)
    equations = {file for file in ran if file.startswith(EQUATIONS)}
    missing = 0
    for title, files, others in (("The mathematics", MATHEMATICS, equations), ("One photo", PHOTO_PATH, ran)):
        helpers = sorted(others - set(files))
        print(f"{title}: {len(files)} files to read, {len(helpers)} more run\n  " + "\n  ".join(files))
        print("  besides: " + " ".join(helpers))
        missing += len(set(files) - ran)
    return int(missing > 0)


def traced(photo: Path, config: str, steps: int, prior: str = "UNetPrior") -> set[str]:
    """The files of the package, relative to it, with a function that runs while a photo becomes a file."""
    from zeroair_pl.cli import main as command

    words = [str(photo), "--config", config, "--sampling.steps", str(steps), "--prior", prior]
    quiet = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as out,
        contextlib.redirect_stdout(quiet),
        contextlib.redirect_stderr(quiet),
        running() as files,
    ):
        command(["restore", *words, "--out", out])
    return files


@contextmanager
def running() -> Iterator[set[str]]:
    """Collects the files of the package with a function that runs within the block, in any thread."""
    found: set[str] = set()
    prefix = f"{PACKAGE}/"

    def note(frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        inside = event == "call" and code.co_filename.startswith(prefix)
        if inside and code.co_flags & inspect.CO_OPTIMIZED and not _imported(frame):
            found.add(code.co_filename.removeprefix(prefix))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _imported(frame: FrameType | None) -> bool:
    """Whether the frame runs because a module of the package is being imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            return True
        frame = frame.f_back
    return False


main = machine.Command(
    measure,
    __doc__,
    option("photo", type=Path, nargs="?", default=PHOTO),
    option("--config", default="dehaze"),
    option("--steps", type=int, default=4, help="noise levels of a fit"),
)

if __name__ == "__main__":
    raise SystemExit(main())
