"""Which of several processes this one is, and on which device it works.

Each process fits whole photos on its own device. The processes share only the output folder (see ``sharing``), so the
environment variables of a launcher decide only the device, and what is shown. Variables that an earlier job left behind
do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from zeroair_pl.errors import ConfigError

WORKER = "ZEROAIR_WORKER"  # in the environment of a process that another one has started for its list
_SPREADING = ("auto", "ddp")  # values of Lightning's ``strategy`` that mean this way of using several devices
# Number of this process, of all processes, and of this process on its machine: torchrun's, and those of srun.
_LAUNCHERS = (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))
_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Within this block, the process uses one device and starts no others.

    It is for workers of a cluster that another program has set up: started under ``srun``, they inherit its variables.
    """
    before = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(before)


@dataclass(frozen=True)
class Rank:
    """One of the processes that share a list.

    Attributes:
        size: processes that were started together, as far as known.
        local: number of this process on its machine, from 0.
        launched: a launcher has started each process.
        worker: another process has started this one, and shows its progress.
    """

    size: int = 1
    local: int = 0
    launched: bool = False
    worker: bool = False

    @staticmethod
    def of(trainer: Mapping[str, Any], environ: Mapping[str, str]) -> Rank:
        """The rank of this process, by the variables of a launcher if there are any, else by ``trainer``.

        Raises:
            ConfigError: ``trainer`` asks for another strategy, or for devices that are not there.
        """
        if (strategy := trainer.get("strategy", "auto")) not in _SPREADING:
            raise ConfigError(
                f"trainer.strategy: {strategy!r}; 'ddp' was expected. Each photo is fitted on one device, and several "
                "devices take different photos."
            )
        if not isinstance(nodes := trainer.get("num_nodes", 1), int) or nodes < 1:
            raise ConfigError(f"trainer.num_nodes: {nodes!r}; expected a number of nodes.")
        devices = len(_devices(trainer)) if "devices" in trainer else 1
        if _alone.get():
            if devices > 1:
                raise ConfigError(f"trainer.devices: {trainer['devices']!r}; a worker has one device.")
            return Rank()
        for number, size, local in _LAUNCHERS:
            found = [_number(environ.get(name, "")) for name in (number, size, local)]
            if found[0] is not None and found[1] is not None and found[1] > 1:
                here = found[0] if found[2] is None else found[2]
                return Rank(found[1], here, launched=WORKER not in environ, worker=WORKER in environ)
        return Rank(devices)

    def one_device(self, trainer: Mapping[str, Any]) -> dict[str, Any]:
        """The options of ``lightning.Trainer`` for the fits of this process, on its own device."""
        from lightning.pytorch.plugins.environments import LightningEnvironment
        from lightning.pytorch.utilities import rank_zero_only

        options = {name: value for name, value in trainer.items() if name not in ("strategy", "num_nodes")}
        if self.size > 1:
            devices = _devices(options if options.get("devices") is not None else {**options, "devices": "auto"})
            device = devices[self.local % len(devices)]  # a launcher may hide all other devices from a process
            options["devices"] = 1 if device is None else [device]
        # A fit must ignore the other processes: otherwise Lightning would wait for them, and log on rank 0 only.
        plugins = options.get("plugins") or []
        options["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), LightningEnvironment()]
        if getattr(rank_zero_only, "rank", 0):  # as Lightning has read it from the environment
            rank_zero_only.rank = 0  # type: ignore[attr-defined]
        return options


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() else None


def _devices(trainer: Mapping[str, Any]) -> list[int | None]:
    """Indices of the devices that ``trainer`` asks for; one ``None`` for each process on the CPU."""
    from lightning.pytorch.accelerators import AcceleratorRegistry, CUDAAccelerator, MPSAccelerator

    name, devices = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
    if name in ("auto", "gpu"):
        found = "cuda" if CUDAAccelerator.is_available() else "mps" if MPSAccelerator.is_available() else "cpu"
        name = found if name == "auto" or found != "cpu" else "cuda"
    try:
        engine = AcceleratorRegistry.get(name)
        if devices in ("auto", -1, "-1", None):
            devices = engine.auto_device_count()
        parsed = engine.parse_devices(devices)
    except Exception as error:  # Lightning raises many types
        why = " ".join(str(error).split())
        raise ConfigError(f"trainer.devices: {devices!r} with accelerator {name!r}: {why}") from error
    if isinstance(parsed, int) and parsed > 0:
        return [None] * parsed if name == "cpu" else list(range(parsed))
    if isinstance(parsed, list) and parsed:
        return list(parsed)
    raise ConfigError(f"trainer.devices: {devices!r}; expected at least one device.")
