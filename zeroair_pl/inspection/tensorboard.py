"""Logs fits for TensorBoard, one run for each image: numbers at every timestep, pictures at some."""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.tensors import drawing

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

MOMENTS = 4  # timesteps of a fit that get a picture, which takes as long as TDM does in two timesteps
STRIP_HEIGHT = 320
COLORS = ("red", "green", "blue")
SUFFIX = ".zeroair"  # of our event files; other event files in the same folder are never removed
EVENTS = f"events.out.tfevents.*{SUFFIX}"
STAGES = {"I": 1.0, "II": 2.0, "III": 3.0}


class TensorBoard(Callback):
    """Writes the course of a fit for ``tensorboard --logdir``: one run, ``folder/name``, for each image.

    The step axis counts timesteps, 0 … N−1, from noisy to clean. Each timestep has:

        degradation/noise_level, /gamma, /airlight/red …   σ, and all other numbers in ``diagnostics()``
        <loss or step>/<term>                              everything in the module's ``record``
        schedule/sigma, /stage                             noise of x, in units of [0, 1]; 1, 2 or 3

    and four of them, with the first and the last, have:

        strip                      y | x0 | φ(x0), and below them the degradation's maps, at most 320 pixels high
        degradation/residual_rms   √mean (y − φ(x0))², which should decrease to the noise level

    x0 is the guided estimate. The callback changes nothing: the fit gives the same bits with it and without it. Each
    process writes its own images, whatever its rank. An earlier run of the same image is replaced; a resumed fit
    continues its run. If the disk is full, or fails later, there is a warning, and the fit goes on without a log.

    Args:
        folder: where the runs go.
        names: of the images, in the order of the group; ``/`` in a name makes folders.
        config: the resolved settings, shown under Text.

    Raises:
        ConfigError: the folder cannot be written when the fit starts.
    """

    def __init__(self, folder: Path, names: Sequence[str], config: str | None = None) -> None:
        self.folder, self.names, self.config = Path(folder), list(names), config
        self.position = 0
        self._writers: list[SummaryWriter] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        from torch.utils.tensorboard import SummaryWriter

        for name in self.names:
            run = run_folder(self.folder, name)
            try:
                if self.position == 0:  # otherwise the board would draw both fits as one line
                    for old in run.glob(EVENTS):
                        old.unlink()
                self._writers.append(
                    SummaryWriter(str(run), purge_step=self.position or None, flush_secs=5, filename_suffix=SUFFIX)
                )
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    self._give_up(error)
                    break
                raise ConfigError(f"tensorboard: {run} cannot be written: {error.strerror or error}") from error
            if self.config:
                indented = "\n".join("    " + line for line in self.config.splitlines())
                self._writers[-1].add_text("config", indented)  # Markdown: four spaces make it verbatim

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Restoration)
        state = pl_module.state
        assert state is not None
        step, self.position = self.position, self.position + 1
        # A family may use random numbers in its forward pass. The pass here must not change the numbers of the fit.
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            maps = state.degradation.dicts("diagnostics")
            scalars = _scalars(state, maps, pl_module.record)
            strips: list[Image.Image] = []
            last = int(trainer.num_training_batches) - 1
            if step in {round(i * last / (MOMENTS - 1)) for i in range(MOMENTS)}:
                y_hat = state.degradation(state.x0).float()
                scalars["degradation/residual_rms"] = (state.y - y_hat).square().flatten(1).mean(1).sqrt()
                strips = [_strip(state, y_hat, maps, i) for i in range(len(self._writers)) if i not in pl_module.lost]
        # One transfer for all values: on an accelerator, each .item() would wait.
        values = torch.stack([v.detach().float() for v in scalars.values()]).tolist()
        known = [i for i in range(len(self._writers)) if i not in pl_module.lost]
        self._attempt(lambda: self._write(step, dict(zip(scalars, values, strict=True)), strips, known))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._attempt(self._close)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._attempt(self._close)

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.position = state_dict["position"]

    def _write(self, step: int, scalars: dict[str, list[float]], strips: list[Image.Image], known: list[int]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        for i, strip in zip_longest(known, strips):
            # A value is NaN for a photo that ends before others of its group, or whose family has no such number.
            finite = {tag: values[i] for tag, values in scalars.items() if isfinite(values[i])}
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in finite.items()]
            writer = self._writers[i].file_writer
            assert writer is not None
            # One event for all values of a step, since each event costs a checksum and a switch to the writing thread.
            writer.add_summary(Summary(value=values + ([] if strip is None else [_image("strip", strip)])), step)

    def _close(self) -> None:
        while self._writers:
            self._writers.pop().close()

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writers.clear()
        warnings.warn(f"tensorboard: {self.folder}: nothing more is written there ({error})", stacklevel=3)


def run_folder(folder: Path, name: str) -> Path:
    """Folder of the run of the image ``name``. It is always below ``folder``, even if the name has ``..`` in it."""
    name = name.encode("utf-8", "backslashreplace").decode()  # TensorBoard needs paths in valid Unicode
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return folder.joinpath(*parts) if parts else folder / "image"


def _scalars(state: GuidanceState, maps: list[dict[str, Tensor]], record: dict[str, Tensor]) -> dict[str, Tensor]:
    """(B,) values by tag. TensorBoard groups tags by the part before the first slash."""
    like = state.x0_error
    scalars = {"degradation/noise_level": state.noise_level()}
    numbers = [{(k, v.shape[1]): v.flatten() for k, v in own.items() if v.shape[-2:] == (1, 1)} for own in maps]
    for name, count in dict.fromkeys(key for own in numbers for key in own):  # families may differ, as those of Auto
        none = like.new_full((count,), torch.nan)
        values = torch.stack([own.get((name, count), none) for own in numbers])
        channels = COLORS if count == 3 else [str(c + 1) for c in range(count)]
        for c, channel in enumerate(channels):
            scalars[f"degradation/{name}" + (f"/{channel}" if count > 1 else "")] = values[:, c]
    for key, value in record.items():
        if key != "noise_level":
            scalars[key if "/" in key else f"record/{key}"] = value
    scalars["schedule/sigma"] = state.noise
    scalars["schedule/stage"] = torch.full_like(like, STAGES[state.stage])
    return {tag: value.to(like) for tag, value in scalars.items()}


def _strip(state: GuidanceState, y_hat: Tensor, maps: list[dict[str, Tensor]], i: int) -> Image.Image:
    photos = {"degraded y": state.y[i], "clean estimate x0": state.x0[i], "φ(x0)": y_hat[i]}
    return drawing.strip(photos, maps[i], STRIP_HEIGHT, two_rows=True)  # one row would make a very flat thumbnail


def _image(tag: str, picture: Image.Image) -> Any:
    """What ``SummaryWriter.add_image`` makes, but as a JPEG.

    Encoding a PNG took as long as all of TDM. It is also five times as large, and Python computes a checksum of it.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=85, subsampling=0)
    shown = Summary.Image(
        height=picture.height, width=picture.width, colorspace=3, encoded_image_string=jpeg.getvalue()
    )
    return Summary.Value(tag=tag, image=shown)
