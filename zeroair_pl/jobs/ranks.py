"""Which of several processes this one is, who started them, and on which device it works.

Each process, or rank, fits whole photos on a device of its own, and shares with the others nothing but the list: not
gradients, not a Lightning process group. ``sharing`` hands the list out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroair_pl.errors import ConfigError, describe

_SPREADING = ("auto", "ddp")  # what the word of Lightning asks for that is done here
_CHILD = "from zeroair_pl.cli.program import main; raise SystemExit(main())"
_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Until its end, this process is no rank of a launch, whatever its environment says.

    For the workers of a cluster that something else has set up: started under ``srun``, they inherit what would make a
    rank of each of them.
    """
    before = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(before)


@dataclass(frozen=True)
class Rank:
    """One process of a launch.

    Attributes:
        number: 0 to ``size`` - 1; 0 keeps the table and shows the progress.
        size: processes of the launch, on all nodes.
        local: number on this node.
        address, port: where the ranks meet; port 0 is any that is free.
        attempt: how often the launcher has started the ranks before.
        agent: the launcher has opened this port already, as torchrun does.
        started: others did start the processes; else the first one on each node does.
        here: processes on this node, of those that the first one starts.
    """

    number: int = 0
    size: int = 1
    local: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    attempt: str = "0"
    agent: bool = False
    started: bool = False
    here: int = 1

    @staticmethod
    def of(trainer: Mapping[str, Any], environ: Mapping[str, str]) -> Rank:
        """Of this process: what torchrun, SLURM or rank 0 says in the environment, else what ``trainer`` asks for.

        Raises:
            ConfigError: ``trainer`` asks for what is not there, or the environment is contradictory.
        """
        if (strategy := trainer.get("strategy", "auto")) not in _SPREADING:
            raise ConfigError(
                f"trainer.strategy: {strategy!r}; 'ddp' was expected. Each photo is fitted on one device, and several "
                "devices take different photos."
            )
        if _alone.get():
            if len(_devices(trainer)) > 1:
                raise ConfigError(f"trainer.devices: {trainer['devices']!r}; one worker has one device.")
            return Rank(started=True)
        if (rank := _started(environ)) is not None:
            return rank
        here = len(_devices(trainer)) if "devices" in trainer else 1
        nodes = trainer.get("num_nodes", 1)
        return Rank(size=here, here=here) if nodes == 1 else _of_node(nodes, here, environ)

    def one_device(self, trainer: dict[str, Any]) -> dict[str, Any]:
        """What ``trainer`` says, for an ordinary fit of this rank on its own device."""
        options = {name: value for name, value in trainer.items() if name not in ("strategy", "num_nodes")}
        if self.size == 1 and not self.started:
            return options
        from lightning.pytorch.plugins.environments import LightningEnvironment
        from lightning.pytorch.utilities import rank_zero_only

        devices = _devices(options if options.get("devices") is not None else {**options, "devices": "auto"})
        device = devices[self.local % len(devices)]  # a rank may be shown no other device than its own
        options["devices"] = 1 if device is None else [device]
        # A fit knows of no other process: without these it would wait for them, and log on rank 0 alone.
        plugins = options.get("plugins") or []
        options["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), LightningEnvironment()]
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
        return options

    def start_others(self, config: Path, port: int) -> dict[int, subprocess.Popen[bytes]]:
        """Starts the other ranks on this machine, where this one is to, with the settings in ``config``."""
        path = os.pathsep.join(each for each in sys.path if each)
        # The settings in the file are the last word; variables that gave some of them would come after it.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ZEROAIR_RESTORE__")}
        return {
            self.number + local: subprocess.Popen(
                [sys.executable, "-c", _CHILD, "restore", "--config", str(config)],
                env={
                    **inherited,
                    "PYTHONPATH": path,
                    "RANK": str(self.number + local),
                    "LOCAL_RANK": str(local),
                    "WORLD_SIZE": str(self.size),
                    "MASTER_ADDR": self.address,
                    "MASTER_PORT": str(port),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for rank 0, which asks the others to end
            )
            for local in range(1, 1 if self.started else self.here)
        }


def _of_node(nodes: Any, here: int, environ: Mapping[str, str]) -> Rank:
    """The first rank of one of several nodes, in whose environment is what Lightning's own launcher asks for."""
    asked = f"trainer.num_nodes: {nodes!r}"
    if not isinstance(nodes, int) or nodes < 1:
        raise ConfigError(f"{asked}; a number of nodes was expected.")
    if "NODE_RANK" not in environ or "MASTER_ADDR" not in environ:
        raise ConfigError(
            f"{asked}, but nothing says which of them this is. Run the command on each node with NODE_RANK (from 0), "
            "MASTER_ADDR and MASTER_PORT in the environment, or use torchrun or srun; see docs/scaling.md."
        )
    try:
        node, port = int(environ["NODE_RANK"]), int(environ.get("MASTER_PORT", "29500"))
    except ValueError as error:
        raise ConfigError(f"NODE_RANK or MASTER_PORT in the environment: {error}.") from error
    if not 0 <= node < nodes:
        raise ConfigError(f"{asked}, but NODE_RANK is {node}; 0 to {nodes - 1} was expected.")
    return Rank(node * here, nodes * here, 0, environ["MASTER_ADDR"], port, here=here)


def _started(environ: Mapping[str, str]) -> Rank | None:
    """As torchrun, or ``srun``, has it; ``None`` in a process that was started alone."""
    address, port = environ.get("MASTER_ADDR"), environ.get("MASTER_PORT")
    try:
        if "RANK" in environ and "WORLD_SIZE" in environ:
            rank = Rank(
                int(environ["RANK"]),
                int(environ["WORLD_SIZE"]),
                int(environ.get("LOCAL_RANK", environ["RANK"])),
                address or "127.0.0.1",
                int(port or 29500),
                environ.get("TORCHELASTIC_RESTART_COUNT", "0"),
                environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
                started=True,
            )
        elif "SLURM_PROCID" in environ and "SLURM_NTASKS" in environ and not _interactive(environ):
            from lightning.pytorch.plugins.environments import SLURMEnvironment

            nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_NODELIST", "127.0.0.1")
            rank = Rank(
                int(environ["SLURM_PROCID"]),
                int(environ["SLURM_NTASKS"]),
                int(environ.get("SLURM_LOCALID", environ["SLURM_PROCID"])),
                address or SLURMEnvironment.resolve_root_node_address(nodes),
                int(port or 15000 + int(environ.get("SLURM_JOB_ID", "0")) % 10000),
                environ.get("SLURM_RESTART_COUNT", "0"),
                started=True,
            )
        else:
            return None
    except ValueError as error:
        raise ConfigError(f"RANK, WORLD_SIZE, SLURM_PROCID or such in the environment: {error}.") from error
    if not 0 <= rank.number < rank.size:
        raise ConfigError(f"the environment says that this is rank {rank.number} of {rank.size}.")
    return rank if rank.size > 1 else None


def _interactive(environ: Mapping[str, str]) -> bool:
    """A shell on a node, in the words of Lightning: what it starts is alone."""
    return environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def _devices(trainer: Mapping[str, Any]) -> list[int | None]:
    """Indices of the devices that are asked for; ``None`` for each process on the CPU."""
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
    except Exception as error:  # of Lightning, of many kinds
        raise ConfigError(f"trainer.devices: {devices!r} with accelerator {name!r}: {describe(error)}.") from error
    if isinstance(parsed, int) and parsed > 0:
        return [None] * parsed if name == "cpu" else list(range(parsed))
    if isinstance(parsed, list) and parsed:
        return list(parsed)
    raise ConfigError(f"trainer.devices: {devices!r}; at least one device was expected.")
