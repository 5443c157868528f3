"""The main jobs for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroair_pl.config.commands import prepared

if TYPE_CHECKING:
    from zeroair_pl.commands.evaluate import Evaluation
    from zeroair_pl.commands.restore import Results


def restore(
    images: str | Path | Sequence[str | Path], config: str | Path | Sequence[str | Path] = "dehaze", **settings: Any
) -> Results:
    """Restores photos as ``python cli.py restore`` does, environment variables aside.

        restore("holiday/*.jpg", "dehaze", out="clear", seed=1, sampling={"steps": 20}, degradation=MyFamily)

    Args:
        images: files, folders, globs or lists of them.
        config: names or paths of configs; later ones override earlier ones.
        settings: any keys of a config, which override the configs. A class may be given as such.

    Returns:
        ``rows``, one for each photo, as in ``results.csv``; ``folder``, where the outputs are.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible, or no photo is found.
    """
    images = [images] if isinstance(images, str | Path) else list(images)
    return _called("restore", config, {"images": images, **settings})


def evaluate(
    results: str | Path | Sequence[str | Path] = (), config: str | Path | Sequence[str | Path] = (), **settings: Any
) -> Evaluation:
    """Scores results as ``python cli.py evaluate`` does, and restores photos first if a config is given.

        evaluate("dehazed", references="clean").scored
        evaluate(config="dehaze", images="hazy", references="clean", seeds=[0, 1, 2], sampling={"steps": 8})

    Args:
        results: folders or lists of results.
        config: names or paths of configs for a restoration; later ones override earlier ones.
        settings: ``images``, ``references``, ``out``, ``seeds``, and any keys of a config.

    Returns:
        ``scored``, one entry for each image, set of results and seed, for ``zeroair_pl.scores.scoring.summarise``;
        ``errors``; ``restored``, by seed; ``folder``, where the tables are.

    Raises:
        ConfigError: a setting is unknown, ill-typed or impossible, or there is nothing to score.
    """
    results = [results] if isinstance(results, str | Path) else list(results)
    return _called("evaluate", config, {"results": results, **settings})


def _called(command: str, config: str | Path | Sequence[str | Path], settings: dict[str, Any]) -> Any:
    """What the command returns under these settings."""
    from zeroair_pl.tensors.modes import own_modes

    with own_modes():  # which a prior, too, is to be built in
        function, values = prepared(command, config, settings)
        return function(**values)
