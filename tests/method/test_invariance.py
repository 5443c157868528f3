"""What a result must not depend on: threads, global state, and a restart. For batches see ``test_solve``."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from helpers.fitting import CASES, Watch, hazy, matched, method, paper
from helpers.moments import ToyBlur, names
from zeroair_pl.degradations import Haze, Neural
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.sampling import DiffusionSampling
from zeroair_pl.method.settings import Method
from zeroair_pl.sampling import AnnealedSampler, Sampler
from zeroair_pl.sampling.levels import Visits
from zeroair_pl.tensors.per_image import image_generator
from zeroair_pl.tensors.trainer import quiet_lightning

pytestmark = pytest.mark.filterwarnings("ignore:__array")  # numpy's, about diffusers


@pytest.mark.parametrize("case", [case for case in CASES if case != "paper"])
def test_the_number_of_threads_changes_no_bit(case: str) -> None:
    """At a size where torch would split sums among threads."""
    y, before, found = hazy(1, 120, 112), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(fit(y, names(1), CASES[case]()))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for each in found[1:]:
        assert torch.equal(each.restored, found[0].restored)
        assert torch.equal(each.noise_level, found[0].noise_level)


def test_the_seed_and_the_name_decide_and_nothing_else_does() -> None:
    y = hazy(1)

    def run(seed: int = 0, name: str = "a.png") -> Tensor:
        return fit(y, [name], method(Haze, seed=seed, scheduler=DDPMScheduler())).restored

    def draws() -> tuple[float, ...]:
        return float(torch.rand(1)), float(np.random.rand()), random.random()  # noqa: NPY002 - a user's, left alone

    def reseed() -> None:
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        random.seed(5)

    first = run()
    reseed()
    untouched = draws()
    reseed()
    assert torch.equal(run(), first)
    assert draws() == untouched
    assert not torch.equal(run(seed=1), first)
    assert not torch.equal(run(name="b.png"), first)


# ---- a restart in the middle -----------------------------------------------------------------------------------------


class Save(Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.fit_loop.epoch_loop.batch_idx == 3:
            trainer.save_checkpoint(self.path)


def train(settings: Method, callbacks: list[Callback], checkpoint: Path | None = None) -> Sampler:
    """What ``fit`` does, with a checkpoint to start from."""
    module = Restoration(hazy(2, 24, 24), names(2), settings)
    generators = [image_generator(0, name, "sampling") for name in names(2)]
    own = settings.sampling.sampler_for(module.phi.each[0], module.y[:1])
    visits = Visits(settings.sampling.prepared(own, settings.prior))
    sampler = DiffusionSampling(own, settings.guidance, generators)
    quiet: dict[str, Any] = {
        key: False for key in ("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar")
    }
    with quiet_lightning():
        trainer = Trainer(accelerator="cpu", devices=1, max_epochs=1, callbacks=[sampler, *callbacks], **quiet)
        trainer.fit(module, train_dataloaders=visits, ckpt_path=checkpoint)
    return own


@pytest.mark.parametrize(
    "settings",
    [
        lambda: matched(Haze, steps=8),
        lambda: method(Haze, scheduler=DPMSolverMultistepScheduler(), steps=8),
        lambda: method(ToyBlur, sampler=AnnealedSampler(), sigma_max=0.2, sigma_min=0.01, steps=8),
        lambda: paper(Neural, scheduler=DDPMScheduler(), steps=8),
    ],
    ids=["matched", "multistep", "annealed", "paper"],
)
def test_a_restart_in_the_middle_of_a_photo_changes_nothing(tmp_path: Path, settings: Any) -> None:
    path, levels = tmp_path / "middle.ckpt", Watch(lambda module: module.state.fraction)
    whole = train(settings(), [Save(path)])
    continued = train(settings(), [levels], path)
    assert len(levels.seen) == 4
    assert torch.equal(continued.nfe, whole.nfe)
    assert torch.equal(continued.restored, whole.restored)
