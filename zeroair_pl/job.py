"""One photo's way from file to file: is it finished, decode, fit, encode, score, and say that it is finished."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zeroair_pl.divergence import safer
from zeroair_pl.errors import ConfigError, DivergenceError, InputError, describe
from zeroair_pl.fit import Method, Result, fit
from zeroair_pl.images import Source
from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.memory import is_out_of_memory, release
from zeroair_pl.outputs import Outputs
from zeroair_pl.photo import Photo, load_photo
from zeroair_pl.saving import output_path, save_photo
from zeroair_pl.sidecars import Record, Row, digest, of_photo


@dataclass(frozen=True)
class Job:
    """Everything but the photo.

    Args:
        method: how photos are restored.
        outputs: where the results go.
        wanted: the switches ``maps``, ``strips``, ``tensorboard`` and ``overwrite``.
        trainer: further arguments of ``lightning.Trainer``.
        resolved: all settings as YAML, for TensorBoard.
        depends: what all results depend on, as ``sidecars.dependencies`` has it.
        steps: timesteps of a fit.
    """

    method: Method
    outputs: Outputs
    wanted: dict[str, bool]
    trainer: dict[str, Any]
    resolved: str
    depends: dict[str, Any]
    steps: int

    def run(self, source: Source, progress: ListProgress) -> Row:
        """Restores one photo, unless it is finished; never raises for what is the photo's own fault."""
        row = Row(source.name, str(source.path))
        try:
            # Before decoding: if the file changes meanwhile, the record has the old bytes, and the next run sees that.
            depends = of_photo(source.path, self.depends)
            row = replace(row, settings=digest(depends))
            before = self.outputs.finished(source, row.settings)
            if before is not None and not self.wanted["overwrite"]:
                return self._skipped(source, before)
            photo = load_photo(source.path)
            row = replace(row, height=photo.size[0], width=photo.size[1])
            path = output_path(self.outputs.folder, source, photo)
            if self.outputs.belongs_to_another(path, source, depends["sha256"]) and not self.wanted["overwrite"]:
                reason = f"{path}: exists, and is not made from {source.path}; use --overwrite or another --out."
                return replace(row, reason=reason)
            self.outputs.require_room(source)
            result, note = self._fit(source, photo, progress)
            row = replace(
                row,
                note=note,
                output=path.relative_to(self.outputs.folder).as_posix(),
                kind=result.phi[0].kind,
                noise_level=float(result.noise_level[0]),
                forwards=result.forwards,
                seconds=result.seconds,
            )
            record = Record(str(source.path.resolve()), depends, row)
            self.outputs.claim(record)
            save_photo(path, result.restored[0], photo)
            self._picture(source, photo, result)
            row = _scored(replace(row, status="restored"), source, photo, path)
            self.outputs.sidecars.write(replace(record, row=row))
            return row
        except ConfigError:  # the settings' fault: no other photo would fare better
            raise
        except (InputError, DivergenceError) as error:
            return replace(row, status="failed", reason=str(error))
        except Exception as error:
            what = describe(error)
            if is_out_of_memory(error):
                what = f"memory ran out ({what}); lower prior.pixels_at_once, prior.tile or sampling.working_pixels."
            row = replace(row, status="failed", reason=f"{source.path}: {what}")
        release()  # what the failed fit held
        return row

    def _skipped(self, source: Source, before: Record) -> Row:
        row = replace(before.row, input=str(source.path), reason="")
        if source.reference is not None:
            path = self.outputs.folder / row.output
            row = _scored(row, source, load_photo(source.path), path)
            self.outputs.sidecars.write(replace(before, row=row))
        return replace(row, status="skipped")

    def _fit(self, source: Source, photo: Photo, progress: ListProgress) -> tuple[Result, str]:
        """The result, and what was done otherwise for it; a fit that diverges is begun once more."""
        try:
            return self._once(source, photo, progress, self.method)
        except DivergenceError as error:
            reason = str(error)
        method, words = safer(self.method)
        progress.print(f"note: {reason}; once more with {words}")
        try:
            result, note = self._once(source, photo, progress, method)
        except DivergenceError as error:
            raise DivergenceError(f"{reason}; and once more with {words}") from error
        return result, "; ".join(filter(None, [reason, f"made with {words}", note]))

    def _once(self, source: Source, photo: Photo, progress: ListProgress, method: Method) -> tuple[Result, str]:
        callbacks = [progress.image(source.name, self.steps)]
        if self.wanted["tensorboard"]:
            from zeroair_pl.inspection.tensorboard import TensorBoard

            callbacks.append(TensorBoard(self.outputs.board, [source.name], config=self.resolved))
        prior, tiling = method.prior, method.prior.tiling
        try:
            # The file's own name, which is the same however the file was listed: it decides the random numbers.
            result = fit(photo.pixels[None], [source.path.name], method, callbacks, self.trainer)
            if prior.tiling is tiling or prior.tiling is None:
                return result, ""
            note = f"memory ran out: the prior saw tiles of at most {prior.tiling.side} px"
            progress.print(f"note: {source.path.name}: {note}")
            return result, note
        finally:
            prior.tiling = tiling  # the size of one photo must not change the results of others

    def _picture(self, source: Source, photo: Photo, result: Result) -> None:
        from zeroair_pl.inspection.report import save_map, save_strip

        if self.wanted["strips"]:
            save_strip(self.outputs.strip(source), photo.pixels, result.restored[0], result.maps[0])
        for name, values in result.maps[0].items() if self.wanted["maps"] else ():
            save_map(self.outputs.map(source, name), values)


def _scored(row: Row, source: Source, photo: Photo, output: Path) -> Row:
    """The row with PSNR and SSIM of the photo and of the file that was written. The reference is opened here alone."""
    row = replace(row, psnr_input=None, psnr=None, ssim_input=None, ssim=None)
    if source.reference is None:
        return row
    from zeroair_pl.metrics import psnr, ssim_paper

    try:
        truth, before, after = load_photo(source.reference).pixels, photo.pixels, load_photo(output).pixels
    except InputError as error:
        return replace(row, reason=str(error))
    if truth.shape != before.shape:
        (_, h, w), (_, height, width) = truth.shape, before.shape
        return replace(row, reason=f"{source.reference}: the reference is {w}x{h} px, the photo {width}x{height} px.")
    p, s = ([float(metric(image[None], truth[None])) for image in (before, after)] for metric in (psnr, ssim_paper))
    return replace(row, psnr_input=p[0], psnr=p[1], ssim_input=s[0], ssim=s[1])
