"""``zeroair prior train``: makes a prior from a folder of photographs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml

from zeroair_pl import console
from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import at_home
from zeroair_pl.photos.ownership import OwnFiles
from zeroair_pl.priors.training.module import Optimization
from zeroair_pl.priors.training.photos import Data
from zeroair_pl.ranges import Range, ranged

# Settings that may change when a training is resumed: where and how fast it runs, and for how long.
_FREE = ("overwrite", "out", "trainer", "data.workers", "data.photos", "optimization.steps")


@ranged("network")
@dataclass
class Network:
    """A ``DenoisingUNet``: see there.

    Args:
        widths: channels of each level, from the finest.
        blocks: residual blocks of each level.
        stem: side of the pixel blocks that the finest level works on.
    """

    widths: Annotated[tuple[int, ...], Range(1)] = (64, 128, 192, 256)
    blocks: Annotated[tuple[int, ...], Range(1)] = (2, 2, 2, 2)
    stem: Annotated[int, Range(1)] = 2


@ranged()
def train(
    *,
    data: Data,
    out: Path = Path("trained-prior"),
    network: Network,
    optimization: Optimization,
    seed: Annotated[int, Range(0)] = 0,
    overwrite: bool = False,
    start: str | None = None,
    trainer: dict[str, Any] | None = None,
    resolved: str = "",
) -> Path:
    """Make a prior from a folder of clean photographs.

    zeroair prior train --config prior/small --data.photos FOLDER --out my-prior. After an interruption, the same
    command continues the training. OUT is a usable prior after the first measurement: restore --prior.path my-prior.

    Args:
        data: the photographs, and how they are cropped.
        out: the prior's folder. OUT/training holds checkpoints, TensorBoard and the decoded photographs, and may be
            removed when the training is finished.
        network: the size of the network.
        optimization: how the weights are trained.
        seed: of all random numbers.
        overwrite: remove an earlier training in OUT and start from the beginning.
        start: a prior, by name or folder, from whose weights training starts; ``network`` may have more blocks, but no
            other sizes.
        trainer: further arguments of lightning.Trainer: accelerator, devices, strategy, precision.
        resolved: all settings as YAML.

    Returns:
        The folder.

    Raises:
        ConfigError: a setting is impossible, too few photographs are found, or OUT holds something else already.
    """
    from lightning.fabric.utilities.rank_zero import _get_rank

    from zeroair_pl.priors.training.export import MARK, check, forget
    from zeroair_pl.priors.training.fitting import checked, fit_prior
    from zeroair_pl.sampling.unconditional import draw

    _check(data, network)
    options, first = checked(dict(trainer or {})), not _get_rank()
    out = at_home(out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; expected a folder.")
    check(out)
    if overwrite and first:  # other processes of a distributed training run the same command
        forget(out)
    if not overwrite and (out / "prior.json").exists() and not (out / "training").exists():
        raise ConfigError(f"--out {out}: holds a prior already; name another folder, or use --overwrite.")
    place = out / "training"
    place.mkdir(parents=True, exist_ok=True)
    if not overwrite:
        _compare(out / MARK, resolved)
    if resolved and first:
        OwnFiles(out).write(MARK, resolved.encode())
    fit_prior(data, asdict(network), optimization, out, seed, options, draw, resume=not overwrite, start=start)
    console.show(f"The prior is in {out}; use it with: --prior.path {out}")
    return out


def _check(data: Data, network: Network) -> None:
    if len(network.widths) != len(network.blocks) or not network.widths:
        raise ConfigError(
            f"network: widths and blocks need one number for each level; got {list(network.widths)} and "
            f"{list(network.blocks)}"
        )
    multiple = network.stem * 2 ** (len(network.widths) - 1)
    for name, side in (("data.crop", data.crop), ("data.late_crop", data.late_crop)):
        if side is not None and (side < 1 or side % multiple):
            near = max(1, round(side / multiple)) * multiple
            raise ConfigError(f"{name}: expected a multiple of {multiple}, got {side}; the nearest is {near}")
    if data.short_side < data.largest:
        raise ConfigError(
            f"data.short_side is {data.short_side}, expected at least {data.largest}, as large as a crop."
        )


def _compare(path: Path, resolved: str) -> None:
    """Raises ConfigError if an earlier training in this folder had other settings."""
    if not path.is_file():
        return
    before, now = (_flat(yaml.safe_load(text) or {}) for text in (path.read_text(), resolved))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key) and not key.startswith(_FREE):
            raise ConfigError(
                f"{key}: the training in {path.parent.parent} was begun with {before.get(key)}, now it is "
                f"{now.get(key)}; set it back, name another --out, or use --overwrite to begin anew."
            )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
