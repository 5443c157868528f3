"""``zeroair doctor``: checks whether this installation works, and shows its libraries, devices and free memory."""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zeroair_pl import console
from zeroair_pl.api import Method
from zeroair_pl.commands.printing import say_object
from zeroair_pl.errors import describe
from zeroair_pl.paths import existing
from zeroair_pl.priors.hub.catalog import home
from zeroair_pl.resources import version
from zeroair_pl.tensors.memory import free_memory

LIBRARIES = ("torch", "torchvision", "lightning", "diffusers", "kornia", "numpy", "pillow", "jsonargparse")
SIDE, NOISE = 96, 0.1  # of the test picture: pixels, and standard deviation of its noise
LITTLE = 2e9  # bytes of free memory or disk below which there is a hint


@dataclass(frozen=True)
class Health:
    """What was found by name, what keeps the program from working, and what a user may want to change."""

    found: dict[str, Any]
    problems: list[str]
    hints: list[str]

    @property
    def exit_status(self) -> int:
        """0 if a photo can be restored, else 1."""
        return int(bool(self.problems))


def doctor(json: bool = False) -> Health:
    """Check that this installation works: versions, devices, extras, memory, disk, the prior, and a small restoration.

    Args:
        json: print one JSON object instead of lines.

    Returns:
        What was found; the exit status is 1 if photos cannot be restored.
    """
    problems: list[str] = []
    found: dict[str, Any] = {
        "version": version(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "libraries": {name: _version_of(name) for name in LIBRARIES},
        "devices": _devices(),
        "extras": _extras(),
        "memory_free_bytes": int(free) if math.isfinite(free := free_memory()) else None,
        "disk_free_bytes": {str(place): shutil.disk_usage(existing(place)).free for place in (Path.cwd(), home())},
    }
    problems += [f"the library {name} is missing" for name, its in found["libraries"].items() if not its]
    found |= _restoration(problems)
    hints = [f"{name}: {state}" for name, state in found["extras"].items() if state.startswith("pip ")]
    if found["memory_free_bytes"] is not None and found["memory_free_bytes"] < LITTLE:
        hints.append(
            f"only {found['memory_free_bytes'] / 1e9:.1f} GB of memory are free; a photo of 12 megapixels takes 3"
        )
    hints += [f"{place}: {free / 1e9:.1f} GB free" for place, free in found["disk_free_bytes"].items() if free < LITTLE]
    health = Health(found, problems, hints)
    if json:
        say_object("doctor", **found, problems=problems, hints=hints)
    else:
        _show(health)
    return health


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _devices() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"name": "cpu", "cores": os.cpu_count(), "threads": torch.get_num_threads()}]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found.append({"name": f"cuda:{index}", "model": name, "free_bytes": free, "total_bytes": total})
    if torch.backends.mps.is_available():
        found.append({"name": "mps"})
    return found


def _extras() -> dict[str, str]:
    """For each extra the versions of its packages, or the command that installs them."""
    from packaging.requirements import Requirement

    try:
        stated = [Requirement(line) for line in metadata.requires("zeroair-pl") or []]
        names = metadata.metadata("zeroair-pl").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return {}
    found = {}
    for extra in names:
        wanted = [
            each.name
            for each in stated
            if each.marker and each.marker.evaluate({"extra": extra}) and not each.marker.evaluate({"extra": ""})
        ]
        versions = {name: _version_of(name) for name in wanted if name != "zeroair-pl"}
        installed = ", ".join(f"{name} {its}" for name, its in versions.items())
        found[extra] = installed if all(versions.values()) else f"pip install 'zeroair-pl[{extra}]'"
    return found


def _restoration(problems: list[str]) -> dict[str, Any]:
    """Loads the prior and restores a small noisy picture with it; adds what fails to ``problems``."""
    found: dict[str, Any] = {"prior": "", "prior_seconds": None, "restoration_seconds": None, "noise_left": None}
    began, what = time.perf_counter(), "the prior cannot be loaded"
    clean = np.linspace(0.3, 0.7, SIDE, dtype=np.float32)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
    noise = np.random.default_rng(0).normal(0, NOISE, clean.shape).astype(np.float32)
    try:
        method = Method.from_config("denoise", sampling={"steps": 4})
        loaded, what = time.perf_counter(), "a photo cannot be restored"
        found |= {"prior": method.prior.name, "prior_seconds": round(loaded - began, 3)}
        image = method.restore((clean + noise).clip(0, 1), "doctor").image
    except Exception as error:
        problems.append(f"{what}: {describe(error)}")
        return found
    left = float(np.sqrt(np.mean((image - clean) ** 2))) / NOISE
    if not left < 0.5:
        problems.append(f"a noisy picture kept {left:.0%} of its noise; less than half was expected")
    return {**found, "restoration_seconds": round(time.perf_counter() - loaded, 3), "noise_left": round(left, 3)}


def _show(health: Health) -> None:
    found = health.found
    devices = [[each["name"], *(f"{key} {value}" for key, value in each.items() if key != "name")]
               for each in found["devices"]]  # fmt: skip
    memory = found["memory_free_bytes"]
    lines = {
        "zeroair-pl": f"{found['version']}, Python {found['python']}, {found['platform']}",
        "libraries": ", ".join(f"{name} {its or 'missing'}" for name, its in found["libraries"].items()),
        "devices": "; ".join(map(" ".join, devices)),
        "memory": "not known" if memory is None else f"{memory / 1e9:.1f} GB free",
        "disk": ", ".join(f"{free / 1e9:.1f} GB free in {place}" for place, free in found["disk_free_bytes"].items()),
        "prior": f"{found['prior'] or 'not loaded'} ({found['prior_seconds']} s)",
        "restoration": f"{found['restoration_seconds']} s, {found['noise_left']} of the noise left",
        **{f"extra {name}": state for name, state in found["extras"].items()},
    }
    width = max(map(len, lines))
    for name, text in lines.items():
        console.show(f"{name:{width}}  {text}")
    for hint in (hint for hint in health.hints if "pip " not in hint):  # the lines above show the missing extras
        console.show(f"note: {hint}")
    for problem in health.problems:
        console.show(f"problem: {problem}")
    console.show("This installation works." if not health.problems else "This installation does not work.")
