"""``zeroair redo``: restores photos of an output folder again, with a choice that later runs keep."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from zeroair_pl.api import DEFAULTS
from zeroair_pl.commands.restore import Results, restore
from zeroair_pl.config.calling import call_of
from zeroair_pl.config.files import as_yaml
from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.jobs.choices import Choice, checked_strength, degradation_named
from zeroair_pl.jobs.outputs import CONFIG, Outputs
from zeroair_pl.paths import at_home
from zeroair_pl.photos.side import SideFiles
from zeroair_pl.ranges import Range, ranged

_ALONE = ("devices", "num_nodes", "strategy")  # options to leave out: one process is enough for a few photos
FORGET = "folder"


@ranged()
def redo(
    out: Path,
    names: list[str] | None = None,
    kind: str = "",
    strength: Annotated[float | dict[str, float] | str | None, Range(0, 1)] = None,
    mask: Path | None = None,
    plugins: list[str] | str | None = None,
) -> Results:
    """Restore photos of an output folder once more, as another kind, less strongly or in part. The choice lasts.

    Later runs into the folder keep it: redo clear trip/harbor --kind haze

    Args:
        out: the output folder.
        names: of the photos, as in the column 'name' of its results.csv; they follow the folder.
        kind: a degradation (haze, low light, …; 'plugins list' shows all), several ('Haze + Jpeg') or a config such as
            dehaze; 'folder' takes the choice back.
        strength: share of the correction, from 0 (the photo as it is) to 1 (all of it); or one for each kind, such as
            'Haze=0.6,Noise=1'.
        mask: a mask that is white where to work, or a folder of masks by the photos' names.
        plugins: further folders with plugin files.

    Raises:
        ConfigError: the folder was not made by restore, it has no such photo, or the choice is not valid.
    """
    if not names:
        raise ConfigError("redo: name the photos after the folder, as in: redo clear trip/harbor --kind haze")
    out = at_home(out)
    if not (out / CONFIG).is_file():
        raise ConfigError(f"{out}: no output folder of restore; there is no {CONFIG} in it.")
    if not kind and strength is None and mask is None:
        raise ConfigError("redo: state what to change, as in --kind haze, --strength 0.6 or --mask face.png.")
    where = SideFiles(mask=mask and at_home(mask)).checked().mask
    choices: dict[Path, Choice] = {}
    outputs = Outputs(out)
    for name in names:
        record = outputs.records.read(name)
        if record is None:
            if name in outputs.earlier:
                raise ConfigError(f"{name}: was never restored ({outputs.earlier[name].reason}); restore it first.")
            near = did_you_mean(name, outputs.earlier)
            raise ConfigError(f"{name}: {outputs.results} has no photo of that name.{near}")
        choice = Choice() if kind == FORGET else Choice(**record.choice)
        if kind and kind != FORGET:
            choice = replace(choice, degradation=degradation_named(kind, "--kind"))
        if strength is not None:
            choice = replace(choice, strength=checked_strength(strength, ""))
        if where is not None:
            choice = replace(choice, mask=os.path.abspath(where))
        choices[Path(record.photo)] = choice
    settings = {"images": [str(photo) for photo in choices], "out": out, **({"plugins": plugins} if plugins else {})}
    call = call_of(restore, out / CONFIG, settings, DEFAULTS)
    values = call.values()
    values["trainer"] = {key: value for key, value in (values["trainer"] or {}).items() if key not in _ALONE}
    return restore(**values, resolved=as_yaml(call.stated()), choices=choices)
