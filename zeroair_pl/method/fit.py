"""The fit of a group of photos: builds the module, the noise levels and a Trainer, and runs them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Side
from zeroair_pl.degradations.promises import check_once
from zeroair_pl.method.adapting import prior_for
from zeroair_pl.method.checkpoints import start
from zeroair_pl.method.divergence import Watchdog, lost, unsound
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.sampling import DiffusionSampling
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.method.trainer_options import Log, let_go, watchers
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.levels import Visits
from zeroair_pl.tensors.per_image import image_generator
from zeroair_pl.tensors.threads import one_thread
from zeroair_pl.tensors.trainer import device_of, plain_interrupt, quiet_lightning, trainer_of

if TYPE_CHECKING:
    from lightning.pytorch import Callback


def fit(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback] = (),
    trainer: dict[str, Any] | None = None,
    sides: Sequence[Side] | None = None,
) -> Result:
    """Restores B photos of one size in one fit. The photos do not influence each other.

    A larger batch may round differently, so ``solve`` computes photos one by one on a CPU. Only in a fit of one photo
    the prior is adapted to it, if the settings say so.

    Args:
        y: the photos, (B, 3, H, W) in [0, 1].
        names: one name for each photo; the seed and the name decide all random numbers of a photo.
        method: how to restore.
        callbacks: they run after the sampler, on the guided estimates.
        trainer: further arguments of ``lightning.Trainer``, such as ``accelerator``. The prior sets its own precision.
        sides: the side information of each photo, such as a mask or a kernel.

    Raises:
        DivergenceError: the fits of all photos have diverged, see ``divergence``. If only some have, ``Result.lost``
            states which.
    """
    began = time.perf_counter()
    with one_thread(y[0, 0].numel()):
        method.prior.to(device_of(trainer))
        module = Restoration(y, names, method, sides)
        sampler = method.sampling.sampler_for(module.phi.each[0], y[:1])
        prior = prior_for(module.phi.each[0], y, method, names[0]) if len(names) == 1 else method.prior
        visits = Visits(method.sampling.prepared(sampler, prior, module.phi.each[0]))
        generators = [image_generator(method.seed, name, "sampling") for name in names]
        _run(module, y, visits, DiffusionSampling(sampler, method.guidance, generators), callbacks, trainer)
        return _result(module, y, sampler, began)


def _run(
    module: Restoration,
    y: Tensor,
    visits: Visits,
    sampling: DiffusionSampling,
    callbacks: Sequence[Callback],
    trainer: dict[str, Any] | None,
) -> None:
    """Runs Lightning's Trainer: one batch for each noise level."""
    name = Path(module.names[0]).stem
    name = name if len(module.names) == 1 else f"{name} and {len(module.names) - 1} more"
    own: list[Callback] = [sampling, Watchdog()]
    with quiet_lightning():
        users, loggers = watchers(trainer, name)
        users = [*users, *([Log()] if loggers else [])]
        engine = trainer_of([*own, *users, *callbacks], trainer, loggers)
        device = engine.strategy.root_device
        for i, phi in enumerate(module.phi):
            if i in module.lost:
                continue
            if what := unsound(phi, y[i : i + 1]):
                module.lose(i, what)
            check_once(phi, y[i : i + 1])
        if stacks_on(device):
            module.to(device).stack()
        try:
            with plain_interrupt():
                engine.fit(module, train_dataloaders=visits, ckpt_path=start(callbacks), weights_only=True)
        finally:
            let_go(engine, module, own)
    module.to(device)  # where the sampler's images are; at its end, the Trainer has moved the module to the CPU


@torch.no_grad()
def _result(module: Restoration, y: Tensor, sampler: Sampler, began: float) -> Result:
    restored = sampler.restored.detach().cpu()
    for i, what in lost(y, restored).items():
        module.lose(i, what)
    module.phi.apart()
    phi = [each.cpu() for each in module.phi]
    for i, each in enumerate(phi):
        if what := unsound(each):
            module.lose(i, what)
    return Result(
        restored,
        [each.diagnostics() for each in phi],
        torch.stack([each.noise_level() for each in phi]),
        [look.nfe + count for look, count in zip(module.looks, sampler.nfe.tolist(), strict=True)],
        time.perf_counter() - began,
        phi,
        dict(module.lost),
    )


def stacks_on(device: torch.device) -> bool:
    """Whether the small networks of several photos are computed together on this device.

    On a CPU they are not: an operation rounds differently on a batch, and a result must not depend on the batch.
    """
    return device.type != "cpu"
