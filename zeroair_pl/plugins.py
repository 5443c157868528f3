"""The one registry of degradations, losses, updates, samplers, priors and adaptations.

They are built in, in plugin files, or in other packages.
A plugin is a Python file with a subclass of one of these; to define it is all it has to do.
"""

from __future__ import annotations

import gc
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from zeroair_pl.errors import ConfigError, did_you_mean
from zeroair_pl.paths import at_home
from zeroair_pl.ranges import Range, ranges_of
from zeroair_pl.resources import shipped

GROUP = "zeroair_pl.plugins"
PACKAGE = "zeroair_plugins"  # where plugin files live among the loaded modules, whatever folder they come from
_HERE = Path(__file__).parent

Kind = Literal["family", "loss", "update", "sampler", "prior", "adaptation"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded: its file or entry point, the line at fault (0 if unknown), and why."""

    origin: str
    line: int
    reason: str

    def defines(self, name: str) -> bool:
        """Whether its file has a class of that name."""
        try:
            return re.search(rf"^class {re.escape(name)}\b", Path(self.origin).read_text(), re.MULTILINE) is not None
        except (OSError, ValueError):
            return False

    def __str__(self) -> str:
        return f"{self.origin}{f':{self.line}' if self.line else ''}: {self.reason}"


@dataclass(frozen=True)
class Entry:
    """One class, as ``plugins list`` shows it; ``options`` are the constructor's arguments with defaults, ``ranges``
    what numbers they take."""

    name: str
    kind: Kind
    origin: str
    summary: str
    options: dict[str, Any]
    ranges: dict[str, Range]


# What this process has loaded so far. Python keeps a loaded module for good, and so does this.
_files: dict[Path, Broken | None] = {}
_stems: dict[str, Path] = {}
_entry_points: dict[str, Broken | None] = {}


def load_plugins(folders: Iterable[str | Path] = ()) -> list[Broken]:
    """Loads every plugin that can be found, each file once in a process.

    Searched are ``folders``, the working folder's ``plugins/``, the ones that came with the program, and the
    entry-point group ``zeroair_pl.plugins`` (each entry names a module or a class). As on a search path, a file takes
    the place of all files of the same name in later folders. Files that begin with ``_`` are left alone.

    Returns the plugins that failed; all others are loaded. Raises ConfigError if one of ``folders`` does not exist.
    """
    for kind in KINDS:
        base_of(kind)  # the built-in names are taken before any plugin's
    asked = [at_home(folder) for folder in folders]
    for folder in asked:
        if not folder.is_dir():
            beside = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
            raise ConfigError(f"plugins: {str(folder)!r} is not a folder.{did_you_mean(folder.name, beside)}")
    searched = [*asked, Path("plugins"), shipped("plugins")]
    broken: list[Broken | None] = []
    seen: set[str] = set()
    for folder in searched:
        for file in sorted(folder.glob("[!_]*.py")) if folder.is_dir() else []:
            if file.stem not in seen:
                seen.add(file.stem)
                broken.append(_load_file(file))
    broken += [_load_entry_point(point) for point in entry_points(group=GROUP)]
    return [problem for problem in broken if problem]


def classes_in(file: Path) -> dict[str, type]:
    """The classes that a plugin file defines, by name; raises ConfigError if it cannot be loaded, or defines none."""
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file.")
    for kind in KINDS:
        base_of(kind)
    if problem := _load_file(file):
        raise ConfigError(f"plugin not loaded: {problem}")
    path = str(file.resolve())
    found = [cls for kind in KINDS for cls in classes(kind).values()]
    own = {cls.__name__: cls for cls in found if getattr(sys.modules.get(cls.__module__), "__file__", None) == path}
    if not own:
        raise ConfigError(f"{file}: defines no degradation, loss, update, sampler, prior or adaptation.")
    return own


def base_of(kind: Kind) -> type:
    """The class whose subclasses are of this kind."""
    from zeroair_pl.degradations import Degradation
    from zeroair_pl.guidance import GuidanceLoss
    from zeroair_pl.guidance.matched import MatchedUpdate  # noqa: F401 - one of the updates
    from zeroair_pl.guidance.updates import GuidanceUpdate
    from zeroair_pl.priors import Adaptation, Prior
    from zeroair_pl.sampling import annealed, matched, scheduler  # noqa: F401 - samplers
    from zeroair_pl.sampling.base import Sampler

    bases: dict[Kind, type] = {
        "family": Degradation,
        "loss": GuidanceLoss,
        "update": GuidanceUpdate,
        "sampler": Sampler,
        "prior": Prior,
        "adaptation": Adaptation,
    }
    return bases[kind]


def classes(kind: Kind) -> dict[str, type]:
    """All loaded classes of a kind that can be built, by name; of two of one name, the built-in one."""
    found = [cls for cls in _subclasses(base_of(kind)) if not inspect.isabstract(cls)]
    public = [cls for cls in found if not cls.__name__.startswith("_") and "<locals>" not in cls.__qualname__]
    built_in_last = sorted(public, key=lambda cls: cls.__module__.startswith("zeroair_pl."))
    return {cls.__name__: cls for cls in built_in_last}


def entries() -> list[Entry]:
    """All loaded classes, sorted by kind, place and name."""
    found = [_entry(cls, kind) for kind in KINDS for cls in classes(kind).values()]
    return sorted(found, key=lambda e: (KINDS.index(e.kind), e.origin != "built in", e.name))


def _entry(cls: type, kind: Kind) -> Entry:
    origin = "built in" if cls.__module__.startswith("zeroair_pl.") else cls.__module__
    if origin.startswith(f"{PACKAGE}."):
        origin = _short(Path(str(sys.modules[origin].__file__)))
    first = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return Entry(cls.__name__, kind, origin, first.rstrip(".:"), options(cls), ranges_of(cls))


def options(cls: type) -> dict[str, Any]:
    """The constructor's arguments and their defaults (``inspect.Parameter.empty`` where there is none)."""
    keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {p.name: p.default for p in parameters if p.kind in keyword}


def _load_file(file: Path) -> Broken | None:
    path = file.resolve()
    if path in _files:
        return _files[path]
    if file.stem in _stems:  # only where a program changes its working folder
        return Broken(_short(file), 0, f"a plugin of this name was loaded before, {_short(_stems[file.stem])}")
    if any(getattr(module, "__file__", None) == str(path) for module in sys.modules.copy().values()):
        return None  # imported by the program itself: a second copy would define each class twice
    name = f"{PACKAGE}.{file.stem}"
    before = _names()
    try:
        sys.modules.setdefault(PACKAGE, ModuleType(PACKAGE))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        problem = _clash(module, path, before)
        del module
    except (Exception, SystemExit) as error:
        problem = _diagnose(_short(file), path, error)
    if problem:
        sys.modules.pop(name, None)
        gc.collect()  # half-made classes would stay among the subclasses until the next collection
    else:
        _stems[file.stem] = path
    _files[path] = problem
    return problem


def _load_entry_point(point: Any) -> Broken | None:
    if point.value not in _entry_points:
        try:
            point.load()
            problem = None
        except (Exception, SystemExit) as error:
            problem = _diagnose(f"entry point {point.name} ({point.value})", None, error)
        _entry_points[point.value] = problem
    return _entry_points[point.value]


def _clash(module: ModuleType, path: Path, before: set[str]) -> Broken | None:
    """A class whose name is taken. Configs name classes without their module: one of the two would be unreachable."""
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__ and name in before and kind_of(value):
            line = inspect.getsourcelines(value)[1]
            return Broken(_short(path), line, f"there is a class {name!r} already; give this one a name of its own")
    return None


def kind_of(cls: type) -> Kind | None:
    """What a class is a plugin of; ``None`` for any other."""
    return next((kind for kind in KINDS if issubclass(cls, base_of(kind))), None)


def _names() -> set[str]:
    return {name for kind in KINDS for name in classes(kind)}


def _diagnose(origin: str, path: Path | None, error: BaseException) -> Broken:
    """Where and why: in the plugin's own file if the error passed through it, else where it was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return Broken(_short(Path(error.filename)), error.lineno or 0, f"SyntaxError: {error.msg}")
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if path is not None and Path(f.filename) == path]
    others = [f for f in frames if not f.filename.startswith("<") and Path(f.filename).parent != _HERE]
    text = " ".join(str(error).split())
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if own:
        return Broken(origin, own[-1].lineno or 0, reason)
    where = f" (at {_short(Path(others[-1].filename))}:{others[-1].lineno})" if others and path is None else ""
    return Broken(origin, 0, reason + where)


def _subclasses(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for subclass in children:
        yield subclass
        yield from _subclasses(subclass)


def _short(path: Path) -> str:
    """As a person would type it: relative to the working folder where it is inside."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
