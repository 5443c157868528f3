"""The pictures of one restored photo: its strip, the maps of its degradation, and its pictures on the page."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from zeroair_pl.errors import ConfigError, describe
from zeroair_pl.inspection.pages import PICTURES
from zeroair_pl.jobs.names import side_picture
from zeroair_pl.jobs.outputs import Outputs
from zeroair_pl.jobs.task import Task
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import decode_photo
from zeroair_pl.tensors.arrays import encode_arrays


@dataclass(frozen=True)
class Wanted:
    """What is written for each photo beside its output: maps as pictures or arrays, strips, the page, TensorBoard."""

    maps: bool
    arrays: bool
    strips: bool
    report: bool
    tensorboard: bool


def pictures_of(
    outputs: Outputs, wanted: Wanted, task: Task, photo: Photo, output: bytes
) -> tuple[dict[str, bytes], list[str]]:
    """The bytes of the pictures, by their names in the output folder, and a note for each that could not be drawn.

    Without a new fit (only the strength differs), the maps on disk stay, and the strip keeps its panels of maps. Sets
    ``task.shown`` to what the page shows.

    Args:
        wanted: the pictures to draw.
        photo: the degraded photo.
        output: the bytes of the restored photo's file.
    """
    from zeroair_pl.inspection.pictures import encode_map, encode_strip, redrawn_strip

    source, result = task.source, task.result
    makers: dict[str, Callable[[], bytes]] = {}

    @lru_cache
    def after() -> Tensor:
        assert task.path is not None
        return decode_photo(output, Path(task.path.name)).pixels

    if wanted.strips:
        strip = side_picture("strips", source.name, ".png")

        def draw() -> bytes:
            if result is not None:
                return encode_strip(strip, photo.pixels, after(), result.diagnostics[0])
            return redrawn_strip(strip, photo.pixels, after(), _earlier(outputs, task, strip))

        makers[strip] = draw
    maps = {} if result is None else result.diagnostics[0]
    for what, values in maps.items() if wanted.maps else ():
        name = side_picture("maps", source.name, f"_{what}.png")
        makers[name] = lambda name=name, values=values: encode_map(name, values)  # type: ignore[misc]
    if wanted.arrays and maps:
        makers[f"maps/{source.name}.npz"] = lambda: encode_arrays(maps)
    made, notes = {}, []
    for name, maker in makers.items():
        try:
            made[name] = maker()
        except ConfigError:
            raise
        except Exception as error:
            notes.append(f"{name}: not drawn, {describe(error)}")
    if wanted.report:
        try:
            task.shown, small = _of_page(task, photo.pixels, after())
            made |= small
        except Exception as error:
            notes.append(f"{PICTURES}: no picture of this photo was drawn: {describe(error)}")
    return made, notes


def _of_page(task: Task, before: Tensor, after: Tensor) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the record keeps for the page (``Record.shown``), and the pictures by their names in the folder.

    ``before`` and ``after`` are (3, H, W) in [0, 1]. Without a new fit (only the strength differs), the maps and
    numbers of the earlier fit are kept.
    """
    from zeroair_pl.inspection.pictures import small

    name, result = task.source.name, task.result
    made = small(before, after, {} if result is None else result.diagnostics[0])
    names = {title: side_picture(PICTURES, name, f".{title}.webp") for title in ("before", "after")}
    files = {names["before"]: made.before, names["after"]: made.after}
    shown: dict[str, Any] = {} if task.before is None else dict(task.before.shown)
    if result is not None:
        maps = {side_picture(PICTURES, name, f".map{i}.webp"): each for i, each in enumerate(made.maps.items(), 1)}
        files |= {name: data for name, (_, data) in maps.items()}
        shown = {"maps": [[caption, name] for name, (caption, _) in maps.items()], "numbers": made.numbers}
    shown["pictures"] = [[title, name] for title, name in names.items()]
    return {**shown, "ratio": made.ratio, "change": made.change}, files


def present(shown: Mapping[str, Any], files: Container[str]) -> dict[str, Any]:
    """``shown`` without the pictures that are not among the photo's ``files``."""
    lists = {role: [each for each in shown.get(role, ()) if each[1] in files] for role in ("pictures", "maps")}
    return {**shown, **lists} if shown else {}


def kept(task: Task) -> dict[str, list[str]]:
    """The digests of the pictures of an earlier fit, by name; empty if the photo was fitted again."""
    if task.full is None or task.before is None:
        return {}
    return {
        name: each for name, each in task.before.files.items() if name.startswith(("strips/", "maps/", f"{PICTURES}/"))
    }


def _earlier(outputs: Outputs, task: Task, name: str) -> bytes:
    """The bytes of the earlier strip; empty if there is none, or somebody has changed it."""
    path = outputs.folder / name
    if name not in kept(task) or outputs.foreign(name, task.source.name, task.before) or not path.is_file():
        return b""
    return path.read_bytes()
