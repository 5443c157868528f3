"""Restores photos as a map over Ray Data: wherever they lie, on as many machines as a Ray cluster has.

Run it with: python examples/05_map_over_ray_data.py [PHOTOS [FOLDER]]

Both may be a folder of this machine, or a URI such as s3://bucket/holiday. It needs: pip install "zeroair-pl[ray]"
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import zeroair_pl
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.formats import SUPPORTED

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
HERE = Path(globals().get("__file__", "notebook")).parent
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
def main(
    photos: str | Path = HERE / "photos", folder: str | Path = "restored/example_05", **settings: Any
) -> list[dict[str, Any]]:
    try:
        import ray.data
        from pyarrow.fs import FileSystem, FileType
    except ImportError:
        print('error: this example needs Ray: pip install "zeroair-pl[ray]"', file=sys.stderr)
        raise SystemExit(2) from None

    # Joins the cluster that RAY_ADDRESS names; without one, this machine alone becomes a small one.
    if not ray.is_initialized():
        ray.init()
    cores, gpus = (int(ray.cluster_resources().get(what, 0)) for what in ("CPU", "GPU"))

    # A row for each file, with its path and its bytes. Nothing is read yet: Ray reads as fast as photos are restored.
    # For an object store only the URI is another. A list of paths or URIs may stand here as well.
    found = ray.data.read_binary_files(
        _uri(photos), include_paths=True, file_extensions=[each[1:] for each in SUPPORTED], num_cpus=0.25
    )

    # Each worker builds its Restorer once, with the prior, and keeps it for all its batches. A GPU has one worker; on
    # CPUs each worker computes with one core. Only half of it is reserved: reading and writing need a share too, and
    # would wait forever if workers reserved all cores.
    restored = found.map_batches(
        zeroair_pl.Restorer,
        fn_constructor_kwargs={"config": "auto", "sampling": {"steps": 8}, **settings},
        batch_size=4,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=gpus or cores),
        num_gpus=1 if gpus else None,
        num_cpus=0.5,
    )

    # The files go from the workers to their place, and only the rows come here. The table of a long list may go to a
    # place of its own as well, by write_parquet or write_csv instead of iter_rows.
    files, root = FileSystem.from_uri(_uri(photos))
    if files.get_file_info(root).type == FileType.File:
        root = str(PurePosixPath(root).parent)
    written = restored.map_batches(partial(write, root=root, folder=_uri(folder)), num_cpus=0.25)
    rows = []
    for row in written.iter_rows():
        rows.append(row)
        print(f"{row['path']}: {row['status']}, {row['reason'] or row['kind']}")
    print(f"restored: {folder}")
    return rows


# %%
def write(batch: dict[str, Any], root: str, folder: str) -> dict[str, Any]:
    """Writes each restored file where its photo lies below ``root``, now below ``folder``; leaves the rows."""
    from pyarrow.fs import FileSystem

    target, top = FileSystem.from_uri(folder)
    for path, output, data in zip(batch["path"], batch["output"], batch.pop("bytes"), strict=True):
        if not output:  # it failed, and its row says why
            continue
        to = PurePosixPath(top) / PurePosixPath(path).relative_to(root).parent / output
        if target.type_name == "local":
            write_atomically(Path(to), data)  # a reader sees the whole file or none
        else:
            with target.open_output_stream(str(to)) as stream:  # an object appears when its upload is complete
                stream.write(data)
    return batch


# %%
def _uri(place: str | Path) -> str:
    return str(place) if "://" in str(place) else os.path.abspath(place)


# %%
if __name__ == "__main__":
    raise SystemExit(int(any(row["status"] == "failed" for row in main(*WORDS))))
