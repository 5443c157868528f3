"""Errors that a user can act on: one sentence that names the file or flag, the value, and what was expected."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches


class ZeroAIRError(Exception):
    """Base of every error raised on purpose; the command line prints its message without a traceback."""


class InputError(ZeroAIRError):
    """One image cannot be read or written. The others go on."""


class ConfigError(ZeroAIRError):
    """A setting is unknown, ill-typed or impossible. Raised before any image is touched."""


class DivergenceError(ZeroAIRError):
    """A fit produced NaN, Inf or a degenerate image, which is reported and never written as a picture.

    Args:
        message: of the first photo, if it is about several.
        lost: what was seen of each photo of the group, by its place in it.
    """

    def __init__(self, message: str, lost: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.lost = dict(lost or {0: message})


_DEBUG = "ZEROAIR_DEBUG"  # in the environment, for processes that this one starts


@contextmanager
def debug() -> Iterator[None]:
    """Within it, errors that become one line are printed with their tracebacks as well; see ``show``."""
    before = os.environ.get(_DEBUG)
    os.environ[_DEBUG] = "1"
    try:
        yield
    finally:
        os.environ.pop(_DEBUG)
        if before is not None:
            os.environ[_DEBUG] = before


def show(error: BaseException) -> None:
    """Prints the traceback of an error that becomes one line, under ``--debug`` or ZEROAIR_DEBUG=1."""
    if os.environ.get(_DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)


def describe(error: Exception) -> str:
    """One line on an unexpected error, with its place in the innermost file that is not a library's: a plugin's,
    most often."""
    show(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith("<")]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}{place}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The hint to append to an error about an unknown ``name``: ``" Did you mean 'Haze'?"``, or ``""``.

    Matching ignores case, so ``haze`` finds ``Haze``, and the dashes before an option, which say nothing about it. The
    last word of a dotted name is enough: ``--steps`` finds ``--sampling.steps`` and ``--modeling.steps``.
    """
    by_folded = {candidate.casefold().lstrip("-"): candidate for candidate in known}
    wanted = name.casefold().lstrip("-")
    near = [folded for folded in by_folded if folded.rpartition(".")[2] == wanted][:3]
    near = near or get_close_matches(wanted, by_folded, n=1, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(by_folded[folded]) for folded in near)}?" if near else ""


def typed(arguments: str) -> str:
    """A command to type, as this program was started: ``zeroair prior list``, ``python cli.py prior list``, or
    ``python -m zeroair_pl prior list``."""
    script = sys.argv[0].replace(os.sep, "/")
    if script.endswith("zeroair_pl/__main__.py"):
        return f"python -m zeroair_pl {arguments}"
    return f"python cli.py {arguments}" if script.split("/")[-1] == "cli.py" else f"zeroair {arguments}"
