"""The main jobs over files, for notebooks and scripts: what the commands do, with objects where a config has names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroair_pl.config.calling import Configs, call_of
from zeroair_pl.config.files import as_yaml
from zeroair_pl.config.objects import image_kind
from zeroair_pl.errors import ConfigError

if TYPE_CHECKING:
    from zeroair_pl.commands.evaluate import Evaluation
    from zeroair_pl.commands.restore import Results


def restore(images: str | Path | Sequence[str | Path], config: Configs = "auto", **settings: Any) -> Results:
    """Restores photos into a folder, as ``zeroair restore`` does, environment variables aside.

        restore("holiday/*.jpg", out="clear")
        restore("holiday", "dehaze", out="clear", seed=1, sampling={"steps": 20}, degradation=Haze(strength=0.5))

    Args:
        images: files, folders, globs or lists of them. For a photo in memory, see ``Method.restore``.
        config: a name, a path, a dict with the content of a config, or a list of these; later ones override earlier
            ones.
        settings: any keys of a config, which override the configs. Objects may stand for their descriptions, as in
            ``Method.from_config``.

    Returns:
        ``rows``, one for each photo, as in ``results.csv``; ``folder``, where the outputs are.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible, or no photo is found.
    """
    return _called("restore", config, {"images": _paths(images, "images"), **settings})


def evaluate(results: str | Path | Sequence[str | Path] = (), config: Configs = (), **settings: Any) -> Evaluation:
    """Scores results as ``zeroair evaluate`` does, and restores photos first if a config is given.

        evaluate("dehazed", references="clean").scored
        evaluate(config="auto", images="hazy", references="clean", seeds=[0, 1, 2], sampling={"steps": 8})

    Args:
        results: folders or lists of results.
        config: of a restoration, as for ``restore``.
        settings: ``images``, ``references``, ``out``, ``seeds``, and any keys of a config.

    Returns:
        ``scored``, one entry for each image, set of results and seed, for ``zeroair_pl.scores.scoring.summarize``;
        ``errors``; ``restored``, by seed; ``folder``, where the tables are.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible, or there is nothing to score.
    """
    return _called("evaluate", config, {"results": _paths(results, "results"), **settings})


def _called(name: str, config: Configs, settings: dict[str, Any]) -> Any:
    """What a command of this name returns."""
    from zeroair_pl.tensors.modes import own_modes

    with own_modes():  # in which a prior is to be built; and libraries change filters of warnings when imported
        module = import_module(f"zeroair_pl.commands.{name}")
        command = getattr(module, name)
        call = call_of(command, config, settings, module.DEFAULTS)
        return command(**call.values(), resolved=as_yaml(call.stated()))


def _paths(given: Any, what: str) -> list[str]:
    """Files as text.

    Raises:
        ConfigError: an image in memory, or something else that names no file.
    """
    several = [given] if isinstance(given, str | Path) or image_kind(given) or not hasattr(given, "__iter__") else given
    found = list(several)
    for each in found:
        if image := image_kind(each):
            raise ConfigError(
                f"{what}: {image}, where files were expected; for a photo in memory use "
                'zeroair_pl.Method.from_config("auto").restore(photo).'
            )
        if not isinstance(each, str | Path):
            raise ConfigError(f"{what}: expected files, folders or globs, but got a {type(each).__name__}.")
    return [str(each) for each in found]
