"""``python cli.py restore``: the main job."""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from zeroair_pl.degradations import Degradation
from zeroair_pl.errors import ConfigError, DivergenceError, InputError, did_you_mean
from zeroair_pl.fit import Method, Result, Sampling, fit
from zeroair_pl.images import Source, find_images
from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.outputs import Outputs, Row, digest
from zeroair_pl.photo import Photo, load_photo
from zeroair_pl.priors import Prior
from zeroair_pl.restoration import Modelling
from zeroair_pl.sampling import Guidance
from zeroair_pl.saving import output_path, save_photo, write_atomically
from zeroair_pl.schedule import Schedule

# Of the settings that are objects: named here as a config would, so that the resolved config can name them too.
DEFAULTS: dict[str, Any] = {
    "prior": {"class_path": "UNetPrior"},
    "guidance.update": {"class_path": "ProximalUpdate"},
    "sampling.scheduler": {"class_path": "DDIMScheduler"},
}

# What the fit itself decides, or what would stop it before the end of its schedule.
_TRAINER_OWN = {"callbacks", "logger", "enable_checkpointing", "accumulate_grad_batches", "gradient_clip_val"} | {
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run"),
}


def restore(
    *,
    images: list[str] | str | None = None,
    out: Path = Path("restored"),
    seed: int = 0,
    overwrite: bool = False,
    degradation: Callable[[], Degradation] | None = None,
    prior: Prior,
    modelling: Modelling,
    guidance: Guidance,
    sampling: Sampling,
    save_maps: bool = False,
    strips: bool = True,
    tensorboard: bool = True,
    plugins: list[str] | str | None = None,
    trainer: dict[str, Any] | None = None,
    resolved: str = "",
) -> Results:
    """Restore photos, each with a degradation model of its own that is learned from this one photo.

    Settings come from --config (a name or a file; several are layered), then from environment variables such as
    ZEROAIR_RESTORE__SEED or ZEROAIR_RESTORE__SAMPLING__STEPS, then from the options below; the later wins.

    Args:
        images: files, folders, globs, or .txt/.csv lists of them (a csv may name a reference to score against).
        out: folder of the restored files, results.csv, config.yaml, strips/, maps/ and tensorboard/.
        seed: with a photo's name it decides all its random numbers.
        overwrite: restore photos again that are finished, and replace files that are no result of this photo.
        degradation: the family of degradation models; 'plugins list' shows all.
        prior: the frozen model of clean photos.
        modelling: how the degradation model learns.
        guidance: what moves the clean estimate.
        sampling: which noise levels are visited, and how.
        save_maps: write the degradation's maps as pictures.
        strips: write a before/after picture of each photo.
        tensorboard: log each fit for TensorBoard.
        plugins: further folders with plugin files.
        trainer: further arguments of lightning.Trainer, such as accelerator.
        resolved: all settings as YAML, for config.yaml.

    Raises:
        ConfigError: a setting is impossible, no photo is found, or ``out`` cannot be written.
        KeyboardInterrupt: after the summary; the table holds what was finished.
    """
    factory, options = _family(degradation), _checked(trainer)
    # Built once before any photo is opened: what does not fit together is refused here.
    schedule = Schedule(
        sampling.scheduler, prior, sampling.steps, sampling.start, sampling.end, sampling.spacing, sampling.eta
    )
    outputs = Outputs(out)
    sources = _find(images or [], out)
    if resolved:
        write_atomically(out / "config.yaml", resolved.encode())
    job = _Job(
        Method(factory, prior, modelling, guidance, sampling, seed),
        outputs,
        {"maps": save_maps, "strips": strips, "tensorboard": tensorboard, "overwrite": overwrite},
        options,
        resolved,
        len(schedule.timesteps),
    )
    began = time.perf_counter()
    try:
        with ListProgress(len(sources)) as progress:
            for source in sources:
                row = job.run(source, progress)
                outputs.add(row)
                if row.reason:
                    progress.print(f"error: {row.reason}")
                progress.advance(row.status, source.name)
    finally:
        _summarise(outputs, len(sources), time.perf_counter() - began, tensorboard)
    return Results(list(outputs.rows.values()), out)


@dataclass(frozen=True)
class Results:
    """What became of each photo, in the order of the list, as in ``folder/results.csv``."""

    rows: list[Row]
    folder: Path

    @property
    def exit_status(self) -> int:
        """0, or 1 if a photo could not be restored, or not be scored."""
        return int(any(row.status == "failed" or row.reason for row in self.rows))


@dataclass(frozen=True)
class _Job:
    """Everything but the photo."""

    method: Method
    outputs: Outputs
    wanted: dict[str, bool]
    trainer: dict[str, Any]
    resolved: str
    steps: int

    def run(self, source: Source, progress: ListProgress) -> Row:
        """Restores one photo; never raises for what is the photo's own fault."""
        row = Row(source.name, str(source.path))
        try:
            photo = load_photo(source.path)
            row = replace(row, height=photo.size[0], width=photo.size[1], settings=digest(source, self.settings))
            path = output_path(self.outputs.folder, source, photo)
            before = self.outputs.finished(source, row.settings)
            if before and not self.wanted["overwrite"]:
                row = replace(before, status="skipped", reason="")
            else:
                if self.outputs.belongs_to_another(path, source) and not self.wanted["overwrite"]:
                    reason = f"{path}: exists, and is not made from {source.path}; use --overwrite or another --out."
                    return replace(row, reason=reason)
                result = self.fit(source, photo, progress)
                save_photo(path, result.restored[0], photo)
                row = replace(
                    row,
                    status="restored",
                    output=path.relative_to(self.outputs.folder).as_posix(),
                    noise_level=float(result.noise_level[0]),
                    forwards=result.forwards,
                    seconds=result.seconds,
                )
                self.picture(source, photo, result)
            return row if source.reference is None else _scored(row, source.reference, photo, path)
        except ConfigError:  # the settings' fault: no other photo would fare better
            raise
        except (InputError, DivergenceError) as error:
            return replace(row, reason=str(error))
        except Exception as error:
            return replace(row, reason=f"{source.path}: {_describe(error)}")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Those that a result depends on."""
        return {k: v for k, v in (yaml.safe_load(self.resolved) or {}).items() if k in Method.__dataclass_fields__}

    def fit(self, source: Source, photo: Photo, progress: ListProgress) -> Result:
        callbacks = [progress.image(source.name, self.steps)]
        if self.wanted["tensorboard"]:
            from zeroair_pl.inspection.tensorboard import TensorBoard

            callbacks.append(TensorBoard(self.outputs.board, [source.name], config=self.resolved))
        # The file's own name, which is the same however the file was listed: it decides the random numbers.
        return fit(photo.pixels[None], [source.path.name], self.method, callbacks, self.trainer)

    def picture(self, source: Source, photo: Photo, result: Result) -> None:
        from zeroair_pl.inspection.report import save_map, save_strip

        if self.wanted["strips"]:
            save_strip(self.outputs.strip(source), photo.pixels, result.restored[0], result.maps[0])
        for name, values in result.maps[0].items() if self.wanted["maps"] else ():
            save_map(self.outputs.map(source, name), values)


def _scored(row: Row, reference: Path, photo: Photo, output: Path) -> Row:
    """The row with PSNR and SSIM of the photo and of the file that was written. The reference is opened here alone."""
    from zeroair_pl.metrics import psnr, ssim_paper

    truth, before, after = load_photo(reference).pixels, photo.pixels, load_photo(output).pixels
    if truth.shape != before.shape:
        (_, h, w), (_, height, width) = truth.shape, before.shape
        return replace(row, reason=f"{reference}: the reference is {w}x{h} px, the photo {width}x{height} px.")
    p, s = ([float(metric(image[None], truth[None])) for image in (before, after)] for metric in (psnr, ssim_paper))
    return replace(row, psnr_input=p[0], psnr=p[1], ssim_input=s[0], ssim=s[1])


def _find(images: list[str] | str, out: Path) -> list[Source]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sources = find_images(images, skip=out)
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    return sources


def _family(degradation: Callable[[], Degradation] | None) -> Callable[[], Degradation]:
    """A factory of degradation models that is known to work."""
    if degradation is None:
        raise ConfigError(
            "No degradation is named. Use a config, for example --config dehaze, or --degradation NAME; "
            "'plugins list' shows all."
        )
    with torch.random.fork_rng(devices=[]):
        try:
            made = degradation()
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"degradation: cannot be built, {_describe(error)}") from error
    if type(made).forward is Degradation.forward:
        raise ConfigError(f"degradation: {type(made).__name__} has no forward(x); name one of 'plugins list'.")
    return degradation


def _checked(trainer: dict[str, Any] | None) -> dict[str, Any]:
    import inspect

    from lightning.pytorch import Trainer

    known = [name for name in inspect.signature(Trainer.__init__).parameters if name != "self"]
    for name in trainer or {}:
        if name in _TRAINER_OWN:
            raise ConfigError(f"trainer.{name}: is decided by the fit itself.")
        if name not in known:
            raise ConfigError(f"trainer: lightning.Trainer has no option {name!r}.{did_you_mean(name, known)}")
    return dict(trainer or {})


def _describe(error: Exception) -> str:
    """One line, with the place in the innermost file that is not a library's: a plugin's, most often."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith("<")]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}{place}"


def _summarise(outputs: Outputs, total: int, seconds: float, board: bool) -> None:
    counts = Counter(row.status for row in outputs.rows.values())
    left = total - len(outputs.rows)
    parts = [f"{counts[status]} {status}" for status in ("restored", "skipped", "failed") if counts[status]]
    parts += [f"{left} not begun"] if left else []
    print(f"{total} photo{'s' * (total != 1)} in {seconds:.0f} s: {', '.join(parts) or 'nothing to do'}")
    print(f"Results: {outputs.folder} (table: {outputs.results})")
    if board and counts["restored"]:
        print(f"Look at the fits: tensorboard --logdir {outputs.board}")
