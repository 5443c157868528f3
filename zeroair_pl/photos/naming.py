"""A name for each photo, for its outputs to share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def names_of(files: Sequence[tuple[Path, Path]]) -> list[str]:
    """Unique names for (path, root): the path below the root without suffix, made longer only where two would be the
    same."""
    paths = [Path(os.path.abspath(path)) for path, _ in files]
    depths = [len(p.parts) - len(Path(os.path.abspath(root)).parts) for p, (_, root) in zip(paths, files, strict=True)]
    siblings = Counter(str(path.with_name(path.stem)).casefold() for path in paths)
    # a.png beside a.jpg: no folder tells them apart, so their suffixes become part of the name.
    ambiguous = [siblings[str(path.with_name(path.stem)).casefold()] > 1 for path in paths]
    ends = [f"{p.stem}_{p.suffix[1:]}" if a and p.suffix else p.stem for p, a in zip(paths, ambiguous, strict=True)]
    full = [[*path.parts[1:-1], end] for path, end in zip(paths, ends, strict=True)]
    whole = ["/".join(parts).casefold() for parts in full]
    while True:
        names = ["/".join(parts[-depth:]) for parts, depth in zip(full, depths, strict=True)]
        # Those that differ in the case of letters alone, as a.png and A.png of one folder, count as one.
        counts = Counter(name for name, _ in {(n.casefold(), w) for n, w in zip(names, whole, strict=True)})
        longer = [i for i, name in enumerate(names) if counts[name.casefold()] > 1 and depths[i] < len(full[i])]
        if not longer:
            break
        for i in longer:
            depths[i] += 1
    taken: set[str] = set()
    for i, name in enumerate(names):  # folders cannot tell apart a.png and A.png, nor a_png.png and a.png beside a.jpg
        number = 1
        while names[i].casefold() in taken:
            number += 1
            names[i] = f"{name}-{number}"
        taken.add(names[i].casefold())
    return names
