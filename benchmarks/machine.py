"""What all benchmarks share: the command line, a description of the machine without its name or paths, and results/."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from zeroair_pl.cli import process
from zeroair_pl.errors import ZeroAIRError

RESULTS = Path(__file__).parent / "results"
Item = TypeVar("Item")
Found = TypeVar("Found")
PACKAGES = ("torch", "lightning", "diffusers", "kornia", "torchmetrics", "numpy", "pillow")


def option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """An option of a ``Command``; the arguments are those of ``ArgumentParser.add_argument``."""
    return names, settings


class Command:
    """The command line of a benchmark.

    Args:
        measure: gets the options and returns the exit status.
        text: the help page, line by line: the docstring of the benchmark.
        options: what the benchmark takes.
        name: default of the option ``--name``, the name of the JSON file; without it there is no such option.
    """

    def __init__(
        self,
        measure: Callable[[argparse.Namespace], int],
        text: str | None,
        *options: tuple[tuple[str, ...], dict[str, Any]],
        name: str = "",
    ) -> None:
        self.measure = measure
        self.parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        for names, settings in options:
            self.parser.add_argument(*names, **settings)
        if name:
            self.parser.add_argument("--name", default=name, help="of the JSON file")

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Runs the benchmark; returns its exit status, or 2 after the message of a ``ZeroAIRError``."""
        process.prepare()  # before torch is loaded
        options = self.parser.parse_args(argv)
        try:
            return self.measure(options)
        except ZeroAIRError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2


def described() -> dict[str, Any]:
    """Date, machine and versions."""
    import torch

    return {
        "date": date.today().isoformat(),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": cores(),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write(name: str, measured: dict[str, Any], folder: Path | None = None) -> Path:
    """Writes ``name.json`` into ``folder``, by default results/, and returns its path."""
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    text = json.dumps(measured, indent=1, ensure_ascii=False)
    text = re.sub(r"\[[-+.\de,\s]*\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), text)  # each list on one line
    path.write_text(text + "\n")
    return path


def at_once(work: Callable[[Item], Found], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Found]]:
    """Each item and what ``work`` has found for it, as they become ready, from so many processes."""
    if workers == 1:
        yield from ((item, work(item)) for item in items)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(work, item): item for item in items}  # they begin while others are still made up
        yield from ((running[each], each.result()) for each in as_completed(running))


def title_of(spec: str) -> str:
    """The title of a config in the results; a file has its stem, so that the results contain no paths."""
    layers = (Path(layer) for layer in spec.split("+"))
    return "+".join(layer.stem if layer.is_absolute() or layer.suffix else layer.as_posix() for layer in layers)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The measured commit, with a + if files have changed since."""
    here = Path(__file__).parent
    try:
        words = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(words, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
