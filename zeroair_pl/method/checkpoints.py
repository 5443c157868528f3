"""Checkpoints in the middle of a photo, for fits that take hours: what is resumed ends in the same bits."""

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

    To be the last of the callbacks, so that it saves what the others have counted. The prior is not in it.

    Args:
        path: of the checkpoint, which is replaced in one step.
        every: timesteps between two of them.
        settings: a digest of all that the result depends on; a checkpoint of anything else is no place to start from.
    """

    def __init__(self, path: Path, every: int, settings: str) -> None:
        self.path, self.every, self.settings = path, every, settings

    def start(self) -> Path | None:
        """The checkpoint to start from, if there is one; any other is removed."""
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            if content["callbacks"][self.state_key]["settings"] == self.settings:
                return self.path
        except OSError:
            return None
        except Exception:  # whatever a damaged file makes of it
            pass
        self.remove()
        return None

    def remove(self) -> None:
        """The photo is finished, or its fit has diverged."""
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
        except (OSError, RuntimeError) as error:  # it is there to save time, and must not cost the fit
            warnings.warn(f"{self.path}: no checkpoint is written ({error})", stacklevel=1)

    def state_dict(self) -> dict[str, Any]:
        return {"settings": self.settings}


def start(callbacks: Iterable[Callback]) -> Path | None:
    """The checkpoint that a fit with these callbacks starts from."""
    return next((found for each in callbacks if isinstance(each, Checkpoints) and (found := each.start())), None)
