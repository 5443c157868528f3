"""The core: a method from a config, and one photo restored by it in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zeroair_pl.config.calling import OWN, PRINTING, Configs, call_of, layers_of
from zeroair_pl.degradations import Degradation
from zeroair_pl.degradations.beside import unused
from zeroair_pl.degradations.downscaled import MOST
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.choices import Choice, Plan, Plans, built, checked_strength
from zeroair_pl.jobs.fitting import Fitting
from zeroair_pl.jobs.ranks import Rank, alone
from zeroair_pl.jobs.records import Row
from zeroair_pl.jobs.task import Task
from zeroair_pl.method import settings
from zeroair_pl.method.restored import Restored
from zeroair_pl.method.settings import Guidance, Modeling, Sampling
from zeroair_pl.method.shares import steps_of
from zeroair_pl.method.trainer_options import checked_options
from zeroair_pl.photos.memory import as_photo
from zeroair_pl.photos.side import with_side
from zeroair_pl.photos.source import Source
from zeroair_pl.priors import Prior
from zeroair_pl.ranges import Range, ranged
from zeroair_pl.tensors.arrays import as_arrays
from zeroair_pl.tensors.modes import own_modes

if TYPE_CHECKING:
    from lightning.pytorch import Callback

# Of the settings that are objects: named here as a config would, so that the resolved config can name them too.
DEFAULTS: dict[str, Any] = {
    "degradation": {"class_path": "Auto"},
    "prior": {"class_path": "UNetPrior"},
    "modeling.terms": [{"loss": {"class_path": "Likelihood"}, "weight": 1.0, "ramp": False}],
}

# Settings of a run over files, which a config may state and a method does not know.
OF_A_RUN = (
    *("images", "out", "overwrite", "batch", "save_maps", "strips", "tensorboard", "checkpoint_every", "missing"),
    *("kernel", "mask", "quiet", "report", *PRINTING, *OWN),
)


@ranged()
@dataclass
class Method(settings.Method):
    """How photos are restored: built from a config or from its parts, and applied to one photo after the other.

        >>> import numpy as np
        >>> method = Method.from_config("denoise", sampling={"steps": 2})
        >>> noisy = np.random.default_rng(0).integers(90, 110, (32, 32, 3), np.uint8)
        >>> restored = method.restore(noisy)
        >>> restored.image.shape, restored.image.dtype, restored.kind
        ((32, 32, 3), dtype('uint8'), 'Noise')

    Args:
        degradation: makes a fresh degradation for each photo.
        prior: the frozen model of clean photos.
        modeling: how the degradation learns.
        guidance: what moves the clean estimate.
        sampling: which noise levels are visited, and how.
        seed: with a photo's name it decides all its random numbers.
        upscale: how many times as wide and as high the restored photo is, from 1 to 8.
        strength: share of the correction, from 0 (the photo as it is) to 1 (all of it); or one for each kind, such as
            ``{"Haze": 0.6, "Noise": 1}``; a kind that is not named has 1.
        trainer: further arguments of ``lightning.Trainer``: ``accelerator``, ``callbacks``, ``logger`` and others.
        stated: the settings as a config states them, where the method comes from a config.
    """

    strength: Annotated[float | dict[str, float] | str, Range(0, 1)] = 1.0
    trainer: dict[str, Any] | None = None
    stated: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_config(cls, config: Configs = "auto", **settings: Any) -> Method:
        """The method that a config states.

            Method.from_config("dehaze", degradation=partial(Haze, strength=0.5), sampling={"steps": 8})

        Args:
            config: a name, a path, a dict with the content of a config, or a list of these; later ones override earlier
                ones. What a config says of files (``images``, ``out`` and such) is left out.
            settings: keys of a config, which override the config. An object may stand for its description: a prior, a
                loss, an update, a scheduler; for ``degradation`` a class, a function that makes one, or a degradation,
                which is copied for each photo.

        Raises:
            ConfigError: a setting is unknown, ill-typed or impossible, or is about files.
        """
        with own_modes():  # in which a prior is to be built
            call = call_of(_settings, _of_a_method(config, settings), settings, DEFAULTS)
            values = call.values()
        values.pop("plugins")
        return cls(**values, stated={key: value for key, value in call.stated().items() if key != "plugins"})

    def __post_init__(self) -> None:
        built(self.fresh)
        self.strength = checked_strength(self.strength, "")
        self.trainer = checked_options(self.trainer)

    def restore(
        self,
        photo: Any,
        name: str = "",
        callbacks: Sequence[Callback] = (),
        side: Mapping[str, Any] | None = None,
        mask: Any = None,
    ) -> Restored:
        """Restores one photo, in memory.

        Args:
            photo: a path; a numpy array (H, W, 3) or (H, W) of uint8, uint16 or float in [0, 1]; a tensor (3, H, W) or
                (1, 3, H, W) of uint8 or float in [0, 1]; a Pillow image.
            name: with the seed it decides all random numbers. By default the name of the file, else ``"photo"``.
            callbacks: of Lightning, which watch the fit.
            side: what comes with the photo, for its degradation: ``missing``, an array (H, W) that is above ½ where a
                pixel is missing, or the color of missing pixels such as ``"#ff00ff"``, or ``"alpha"``;
                ``kernel``, the blur's (h, w); or what else a degradation takes.
            mask: where to work: a path, a Pillow image, an array or a tensor (H, W), of truth values, uint8, or numbers
                in [0, 1]. Where it is 0 the photo stays as it is, and has no influence.

        Raises:
            InputError: the photo cannot be read, or is of a shape, type or range that is not accepted.
            DivergenceError: the fit has diverged, with smaller steps too.
            ConfigError: a setting proved wrong, or the degradation would not use what ``side`` has.
        """
        of_file = isinstance(photo, str | Path)
        name = name or (Path(photo).name if of_file else "photo")
        for given in side or ():
            if why := unused(self.prototype(), given):
                raise ConfigError(f"side: {given}: {why}")
        source, back = as_photo(photo, name)
        beside = {**(side or {}), **({} if mask is None else {"mask": mask})}
        source = with_side(source, beside)
        task = Task(Source(Path(name), Path(name).stem), Row(name, name), photo=source, plan=Plan(self, {}, ""))
        self.fitting(callbacks, strict=True).fit([task])
        assert task.result is not None
        return Restored(
            photo=source,
            full=task.result.restored[0],
            diagnostics=as_arrays(task.result.diagnostics[0]),
            name=name,
            kind=task.row.kind,
            noise_level=task.row.noise_level or 0.0,
            nfe=task.row.nfe or 0,
            seconds=task.row.seconds or 0.0,
            note=task.row.note,
            reason=task.row.found,
            unchanged=task.unchanged,
            strength=checked_strength(self.strength, ""),
            steps=tuple(steps_of(task.result.phi[0], task.result.restored[0], source)),
            back=back,
            file=Path(photo) if of_file else None,
        )

    def fitting(self, callbacks: Sequence[Callback] = (), strict: bool = False) -> Fitting:
        """What fits photos in this process, which is no rank of a launch, on one device.

        Raises:
            ConfigError: ``trainer`` asks for several devices, or for one that is not there.
        """
        with alone():
            options = Rank.of(self.trainer or {}, {}).one_device(dict(self.trainer or {}))
        return Fitting(options, lambda tasks, again: nullcontext(callbacks), strict=strict)

    def parts(self) -> list[object]:
        """What takes part in a fit beside the degradation."""
        losses = [term.loss for term in (*self.modeling.terms, *self.guidance.terms)]
        return [self.prior, self.prior.adapt, self.guidance.update, self.sampling.sampler, *losses]

    def plan(self) -> Plan:
        """How photos are restored, and what their results depend on."""
        return Plans(self, self.stated, self.parts()).of(Choice())


def settings_of(config: Configs = "auto", **settings: Any) -> dict[str, Any]:
    """All settings that ``Method.from_config`` would use, as a config states them. Nothing is built.

        >>> settings_of("dehaze", seed=3)["degradation"]["class_path"]
        'Haze'

    Raises:
        ConfigError: as ``Method.from_config``, as far as a setting shows it.
    """
    return call_of(_settings, _of_a_method(config, settings), settings, DEFAULTS).stated()


def _of_a_method(config: Configs, settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The layers of configs without what they say of files; raises ConfigError if ``settings`` is about files."""
    if misplaced := [name for name in OF_A_RUN if name in settings]:
        raise ConfigError(f"{', '.join(misplaced)}: not a setting of a method; pass it to zeroair_pl.restore(files).")
    layers = layers_of(config)
    return [{key: value for key, value in layer.values.items() if key not in OF_A_RUN} for layer in layers]


def _settings(
    *,
    degradation: Callable[[], Degradation],
    prior: Prior,
    modeling: Modeling,
    guidance: Guidance,
    sampling: Sampling,
    seed: Annotated[int, Range(0)] = 0,
    strength: Annotated[float | dict[str, float] | str, Range(0, 1)] = 1.0,
    upscale: Annotated[float, Range(1, MOST)] = 1.0,
    plugins: list[str] | str | None = None,
    trainer: dict[str, Any] | None = None,
) -> None:
    """The settings of a method, for the parser."""
