"""Checkpoints during the fit of a photo, for fits that take hours. A resumed fit gives the same bits."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zeroair_pl.photos.atomic import TEMPORARY


class Checkpoints(Callback):
    """Saves the whole state of a fit every few timesteps: sampler, random numbers, networks, optimizers.

    It must be the last callback, so that it saves the final state of the others. It does not save the prior.

    Args:
        path: of the checkpoint file, which is replaced as a whole.
        every: number of timesteps between two checkpoints.
        settings: a digest of everything that the result depends on; a checkpoint with another digest is not used.
    """

    def __init__(self, path: Path, every: int, settings: str) -> None:
        self.path, self.every, self.settings = path, every, settings

    def start(self) -> Path | None:
        """The path of a checkpoint with the same settings, or ``None``; removes a checkpoint that cannot be used."""
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            if content["callbacks"][self.state_key]["settings"] == self.settings:
                return self.path
        except OSError:
            return None
        except Exception:  # a damaged file may raise any exception
            pass
        self.remove()
        return None

    def remove(self) -> None:
        """Removes the checkpoint, when the photo is finished or its fit has diverged."""
        self.path.unlink(missing_ok=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % self.every or batch_idx + 1 == trainer.num_training_batches:
            return
        temporary = self.path.parent / f"{TEMPORARY[0]}{uuid.uuid4().hex}{TEMPORARY[1]}"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                trainer.save_checkpoint(temporary)
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:  # a fit must not fail because its checkpoint does
            warnings.warn(f"{self.path}: no checkpoint is written ({error})", stacklevel=1)

    def state_dict(self) -> dict[str, Any]:
        return {"settings": self.settings}


def start(callbacks: Iterable[Callback]) -> Path | None:
    """The checkpoint that a fit with these callbacks starts from, or ``None``."""
    return next((found for each in callbacks if isinstance(each, Checkpoints) and (found := each.start())), None)
