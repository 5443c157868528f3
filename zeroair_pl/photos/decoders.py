"""The decoders of HEIC and of camera raw files, as a program of their own: a damaged file may crash them.

``isolated`` runs it as ``python decoders.py KIND PATH MOST_PIXELS``. It writes to stdout the length of a JSON object,
the object, and the bytes whose lengths are in it under "blobs", in that order.
"""

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose modules must not hide others of the same name

import json
import struct
from typing import Any


def heic(path: str, most: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The primary picture, and what the file says of it. Without pixels where it has more than ``most``."""
    import numpy as np
    import pi_heif

    opened = pi_heif.open_heif(path, convert_hdr_to_8bit=False)
    picture = opened[opened.primary_index]
    said: dict[str, Any] = {"size": picture.size}
    if picture.size[0] * picture.size[1] > most:
        return said, {}
    array, info = np.asarray(picture), dict(picture.info)
    pi_heif.set_orientation(info)  # the file's own rotation is applied, and EXIF's does not count
    nclx = info.get("nclx_profile") or {}
    keys = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
    said |= {
        "shape": array.shape,
        "dtype": str(array.dtype),
        "depth": int(info.get("bit_depth") or 8),
        "code": [int(nclx[key]) for key in keys] if all(key in nclx for key in keys) else None,
        "pictures": len(opened),
        "depth_maps": len(info.get("depth_images") or ()),
        "auxiliary": len(info.get("aux") or ()),
    }
    kept = {"exif": info.get("exif"), "icc_profile": info.get("icc_profile"), "xmp": info.get("xmp")}
    return said, {"pixels": array.tobytes(), **{key: bytes(value) for key, value in kept.items() if value}}


def raw(path: str, most: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A developed picture: the camera's white balance, exposure as taken, sRGB, 16 bits, upright."""
    import rawpy

    with rawpy.imread(path) as opened:
        said: dict[str, Any] = {"size": (opened.sizes.width, opened.sizes.height)}
        if said["size"][0] * said["size"][1] > most:
            return said, {}
        array = opened.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=(2.4, 12.92),
        )
    return {**said, "shape": array.shape, "dtype": str(array.dtype)}, {"pixels": array.tobytes()}


def main() -> int:
    kind, path, most = sys.argv[1:]
    try:
        said, blobs = {"heic": heic, "raw": raw}[kind](path, int(most))
    except Exception as error:
        first = error.args[0] if error.args else type(error).__name__
        print(first.decode(errors="replace") if isinstance(first, bytes) else first, file=sys.stderr)
        return 1
    head = json.dumps({**said, "blobs": {key: len(value) for key, value in blobs.items()}}).encode()
    sys.stdout.buffer.write(struct.pack("<Q", len(head)) + head)
    for value in blobs.values():
        sys.stdout.buffer.write(value)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
