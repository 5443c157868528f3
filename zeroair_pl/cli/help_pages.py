"""The everyday help of the large commands: a page of text that needs no library. ``--help-all`` shows every setting.

A test compares the pages with the parsers.
"""

from __future__ import annotations

from zeroair_pl.errors import typed
from zeroair_pl.resources import shipped

_RESTORE = """\
usage: {restore} PHOTO ... [options]

Restores photos, each with a degradation model that is learned from this one photo.

  PHOTO ...               files, folders, globs, or .txt/.csv lists of them; also as --images
  --out FOLDER            where the results go, with a table of them (default: restored)
  --overwrite             restore again what is finished

What happened to the photos
  --config NAME           {configs}
                          or a file; several are layered. Without one it is auto.
  --degradation KIND      a kind by itself: Haze, LowLight, ...; 'plugins list' shows all
  --strength S            share of the correction, from 0 (none) to 1 (default: 1.0); or one for
                          each kind, as Haze=0.6,Noise=0
  --mask FILE             where to work: white; elsewhere a photo stays; or a folder of masks
  --missing FILE          a mask, white where a pixel is missing; or a folder of masks; or the
                          color that means missing, as '#ff00ff'; or alpha for transparency
  --kernel FILE           a blur kernel; or a folder of kernels
  --sampling.steps N      noise levels; fewer are faster (default: 10)
  --seed N                another choice of random numbers (default: 0)

A first look
  --dry-run               what would be done with each photo, and why; writes nothing
  --explain               the evidence for and against each kind that auto knows
  --preview [crop]        restore small copies, or the middles, beside the output folder

Output
  --quiet, --verbose      errors only; the settings and seconds of each fit
  --json                  an object for each photo on standard output
  --save-maps [npz]       write what was learned, as pictures or arrays
  --report false, --strips false, --tensorboard false
                          no page of all photos, no before/after pictures, no logs

Examples
  {restore} night.jpg holiday/ --out clear
  {restore} --config dehaze "trip/*.jpg" --out clear --preview

--help-all lists all settings, --degradation.help Haze those of a class, --print-config their values.
"""

_EVALUATE = """\
usage: {evaluate} --results FOLDER ... [--references FOLDER] [options]

Scores results against references, side by side; with a config, photos are restored first.

  --results FOLDER ...    results to score; or lists of them
  --references FOLDER     the clean photos, matched by name; or a .csv list
  --images PHOTO ...      the degraded photos, as for restore
  --out FOLDER            where the tables go (default: evaluated)

Restoring first
  --config NAME           {configs}
                          or a file; several are layered
  --seeds N ...           restore with each of these in turn
  --strength S            share of the correction, from 0 (none) to 1 (default: 1.0)
  --sampling.steps N      noise levels; fewer are faster (default: 10)

Examples
  {evaluate} --results clear --references clean
  {evaluate} --config dehaze --images hazy --references clean --seeds 0 1 2

--help-all lists all settings.
"""

_REDO = """\
usage: {redo} FOLDER NAME ... [options]

Restores photos of an output folder once more, as another kind, less strongly or in part. The choice
lasts: later runs into the folder keep it.

  FOLDER                  the output folder
  NAME ...                of the photos, as in the column 'name' of its results.csv
  --kind KIND             a degradation (haze, low light, ...; 'plugins list' shows all) or a config
                          such as dehaze; 'folder' takes the choice back
  --strength S            share of the correction, from 0 (none) to 1
  --mask FILE             where to work: white; or a folder of masks

Examples
  {redo} clear trip/harbor --kind haze
  {redo} clear harbor pier --strength 0.6

--help-all lists all settings.
"""

_APP = """\
usage: {app} [options]

Opens a page in the browser, on this machine alone: drop photos, see them before and after, download
them. Ctrl-C ends it.

  --open                  open it in the browser at once
  --port N                by default the first free one from 7860
  --host ADDRESS          who may reach it; 0.0.0.0 for everybody (default: 127.0.0.1)
  --megapixels N          of the largest photo that is taken (default: 50)

Examples
  {app} --open

--help-all lists all settings.
"""

PAGES = {"restore": _RESTORE, "redo": _REDO, "evaluate": _EVALUATE, "app": _APP}
_WIDTH = 74  # characters of a line of names


def page(command: str) -> str:
    """The everyday help of a command in ``PAGES``."""
    names = {name: typed(name) for name in PAGES}
    return PAGES[command].format(**names, configs=_wrapped(list(everyday_configs())))


def everyday_configs() -> tuple[str, ...]:
    """The names of the configs that came with the program, without those in folders (the paper's, ablations)."""
    return tuple(sorted(path.stem for path in shipped("configs").glob("*.yaml")))


def _wrapped(names: list[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) + 2 > _WIDTH:
            lines.append("")
        lines[-1] += f"{name}, "
    return ("\n" + " " * 26).join(line.rstrip() for line in lines)
