"""Restores a photo from Python: the main job in one call.

Run it with: python examples/01_restore_a_photo.py [PHOTO [FOLDER]]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import zeroair_pl

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
HERE = Path(globals().get("__file__", "notebook")).parent
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
def main(
    photo: str | Path = HERE / "photos" / "noise_blossom.png",
    folder: str | Path = "restored/example_01",
    **settings: Any,
) -> Path:
    # A config's name, then any of its settings: here fewer steps than the config has, for a quick look.
    settings = {"sampling": {"steps": 8}, "overwrite": True, **settings}
    results = zeroair_pl.restore(photo, "denoise", out=folder, **settings)

    # One row for each photo, as in FOLDER/results.csv. A photo that cannot be restored has a reason instead.
    (row,) = results.rows
    if row.status == "failed":
        raise SystemExit(row.reason)
    restored = results.folder / row.output
    print(f"{row.name}: {row.width}x{row.height} px, noise {255 * (row.noise_level or 0):.1f}/255, {row.seconds:.0f} s")
    print(f"restored: {restored}")
    print(f"before and after: {results.folder / 'strips' / row.name}.png")
    return restored


# %%
if __name__ == "__main__":
    main(*WORDS)
