"""Shared parts of the benchmarks of time: example photos, methods from configs, and clocks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zeroair_pl.errors import ConfigError, ZeroAIRError

if TYPE_CHECKING:
    from zeroair_pl import Method
    from zeroair_pl.commands.restore import Results

EXAMPLES = Path(__file__).parents[1] / "examples" / "photos"
PHOTOS = {"dehaze": "haze_workshop.png", "low_light": "dark_tulips.png", "denoise": "noise_blossom.png"}


def example(config: str) -> Path:
    """An example photo with the degradation that the config removes."""
    return EXAMPLES / PHOTOS.get(Path(config).stem, "haze_workshop.png")


def method_of(*configs: str) -> Method:
    """The method of these configs; later ones override earlier ones."""
    from zeroair_pl import Method

    return Method.from_config(configs)


def crops(configs: Sequence[str], side: int, count: int, folder: Path) -> list[Path]:
    """Writes ``count`` PNG files of ``side`` × ``side`` pixels, cut from different places of example photos.

    The photos have the degradation that the first config removes, or any for a config that finds it itself.
    """
    from PIL import Image

    known = PHOTOS.get(Path(configs[0]).stem)
    sources = [Image.open(EXAMPLES / name).convert("RGB") for name in ([known] if known else PHOTOS.values())]
    if side > (most := min(min(source.size) for source in sources)):
        raise ConfigError(f"a side of {side} pixels: the example photos have {most}.")
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for i in range(count):
        source = sources[i % len(sources)]
        left, top = int(i * 0.618 % 1 * (source.width - side)), int(i * 0.755 % 1 * (source.height - side))
        found.append(folder / f"{i:03d}.png")
        source.crop((left, top, left + side, top + side)).save(found[-1])
    return found


class Run(NamedTuple):
    """One restoration of a list: its wall-clock seconds, and the rows of its photos."""

    seconds: float
    results: Results


def restored(photos: Sequence[Path], configs: Sequence[str], out: Path, **settings: Any) -> Run:
    """Restores photos as ``zeroair_pl.restore`` does, without output.

    Raises:
        ZeroAIRError: a photo could not be restored.
    """
    import zeroair_pl

    began = time.perf_counter()
    results = zeroair_pl.restore(photos, configs, out=out, quiet=True, **settings)
    seconds = time.perf_counter() - began
    for row in results.rows:
        if row.status != "restored":
            raise ZeroAIRError(f"{row.name}: {row.status} {row.reason}".strip())
    return Run(seconds, results)


def started(*words: str | Path, **variables: str) -> tuple[float, str]:
    """Runs a new Python process with these arguments and environment variables; returns its seconds and output.

    Raises:
        ZeroAIRError: the process failed; the message is its last line on standard error.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, env={**os.environ, **variables}
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise ZeroAIRError(f"exit status {done.returncode}: {(done.stderr.strip().splitlines() or ['(silent)'])[-1]}")
    return seconds, done.stdout


@contextmanager
def clock(owner: Any, method: str, spent: dict[str, float], name: str, device: str = "cpu") -> Iterator[None]:
    """Adds the seconds of all calls of ``owner.method`` to ``spent[name]``, including the work on ``device``."""
    inner: Callable[..., Any] = getattr(owner, method)
    own = vars(owner).get(method)

    def outer(*args: Any, **kwargs: Any) -> Any:
        began = now(device)
        try:
            return inner(*args, **kwargs)
        finally:
            spent[name] += now(device) - began

    setattr(owner, method, outer)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, method)
        else:
            setattr(owner, method, own)


def now(device: str = "cpu") -> float:
    """The time in seconds, after ``device`` has finished its work."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def layers(configs: str) -> list[str]:
    """The configs in a name that joins several by +."""
    return configs.split("+")


def goal(what: str, value: float, limit: float, at_least: bool = True) -> dict[str, Any]:
    """A goal and whether it is reached, for a JSON file."""
    met = value >= limit if at_least else value <= limit
    return {"what": what, "value": value, "limit": limit, "at_least": at_least, "met": met}
