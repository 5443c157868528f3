"""Camera raw files are known by their content, refused in one line without the extra, and developed with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from helpers.photo_files import noise, round_trip
from helpers.raw_files import HEIGHT, WIDTH, dng, encoded, scene, with_preview
from helpers.tiff_files import write
from zeroair_pl.errors import InputError
from zeroair_pl.photos import raw
from zeroair_pl.photos.reading import load_photo

CFA, LINEAR_RAW = 32803, 34892
MAKE = {271: ("s", b"NIKON CORPORATION\0")}
STARTS = {
    "x.CR2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(300), "Canon CR2"),
    "x.CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(300), "Canon CR3"),
    "x.crw": (b"II\x1a\0\0\0HEAPCCDR" + bytes(300), "Canon CRW"),
    "x.RAF": (b"FUJIFILMCCD-RAW 0201" + bytes(300), "Fujifilm RAF"),
    "x.ORF": (b"IIRO\x08\0\0\0" + bytes(300), "Olympus ORF"),
    "y.orf": (b"IIRS\x08\0\0\0" + bytes(300), "Olympus ORF"),
    "x.RW2": (b"IIU\0\x18\0\0\0" + bytes(300), "Panasonic RW2"),
    "x.mrw": (b"\0MRM" + bytes(300), "Minolta MRW"),
    "x.x3f": (b"FOVb" + bytes(300), "Sigma X3F"),
    "x.iiq": (b"II*\0\x08\0\0\0IIII" + bytes(300), "Phase One IIQ"),
    "x.dng": (dng(), "DNG"),
    "x.nef": (with_preview(CFA, tags=MAKE), "of NIKON CORPORATION"),
    "x.pef": (with_preview(CFA, order=">"), "PEF"),
    "x.arw": (with_preview(LINEAR_RAW), "ARW"),
    "lossy.dng": (with_preview(1, tags={50706: ("B", [1, 4, 0, 0])}), "DNG"),
}


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "installed", lambda extra: False)


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize("suffix", ["", ".tif", ".jpg"])
@pytest.mark.parametrize("name", STARTS)
def test_without_the_extra_each_is_refused_by_name(tmp_path: Path, name: str, suffix: str) -> None:
    data, kind = STARTS[name]
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(data)
    kind = suffix[1:].upper() if suffix and kind in ("PEF", "ARW") else kind  # for which only the name speaks
    expected = f"{path}: a camera raw file ({kind}); export it as TIFF, PNG or JPEG, or install the extra 'raw'"
    with pytest.raises(InputError) as caught:
        load_photo(path)
    assert str(caught.value).startswith(expected)
    assert str(caught.value).endswith("pip install 'zeroair-pl[raw]'.")


def test_with_the_extra_what_cannot_be_developed_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    for name in ("x.CR2", "x.CR3", "x.RAF", "x.ORF", "x.RW2"):
        data, kind = STARTS[name]
        (tmp_path / name).write_bytes(data)
        with pytest.raises(
            InputError, match=rf"a camera raw file \({kind}\) that LibRaw cannot develop \(.+\); export it"
        ):
            load_photo(tmp_path / name)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_dng_is_developed_to_its_scene(tmp_path: Path, orientation: int) -> None:
    """White balance by the camera, exposure as taken, sRGB, upright; written as a TIFF of 16 bits."""
    pytest.importorskip("rawpy")
    path = tmp_path / "x.DNG"
    path.write_bytes(dng(orientation))
    photo = load_photo(path)
    assert (photo.format, photo.dtype, photo.orientation) == ("TIFF", "uint16", 1)
    upright = {1: scene(), 3: scene()[::-1, ::-1], 6: np.rot90(scene(), -1), 8: np.rot90(scene(), 1)}[orientation]
    assert photo.size == upright.shape[:2]
    inner = slice(4, -4)  # without the edges, for which the sensor has no neighbors
    error = photo.pixels.permute(1, 2, 0).numpy() - encoded(upright)
    assert np.abs(error[inner, inner]).max() < 0.01
    after = round_trip(path)
    assert after.name == "x.tif"
    with tifffile.TiffFile(after) as tiff:
        page = tiff.pages.first
        assert (page.dtype, page.shape, page.tags[271].value) == (np.uint16, (*upright.shape[:2], 3), "Maker")
        assert "sRGB".encode("utf-16-be") in (page.iccprofile or b"")
        np.testing.assert_allclose(page.asarray() / 65535, photo.pixels.permute(1, 2, 0).numpy(), atol=1e-5)


def test_a_raw_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    whole = dng()
    (tmp_path / "x.dng").write_bytes(dng(rows=HEIGHT // 2))
    with pytest.raises(InputError, match="camera raw file"):
        load_photo(tmp_path / "x.dng")
    (tmp_path / "x.dng").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        load_photo(tmp_path / "x.dng")


def test_a_preview_of_a_photo_that_is_not_read_is_not_restored_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(with_preview(1))
    with pytest.raises(InputError, match=rf"\(32x24 px\) is a preview of another one \({WIDTH}x{HEIGHT} px\)"):
        load_photo(tmp_path / "x.tif")


def test_a_photo_with_smaller_copies_or_a_leftover_version_is_no_raw_file(tmp_path: Path) -> None:
    """SubIFDs of a pyramid, and the tag DNGVersion, which tools copy into TIFFs along with the others."""
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as tiff:
        tiff.write(noise(3), photometric="rgb", subifds=1)
        tiff.write(noise(3)[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(tifffile.imread(round_trip(tmp_path / "pyramid.tif")), noise(3))
    (tmp_path / "tool").mkdir()
    copied = write(noise(3), 8, tags={50706: ("B", [1, 4, 0, 0])})
    (tmp_path / "tool" / "x.tif").write_bytes(copied)
    np.testing.assert_array_equal(tifffile.imread(round_trip(tmp_path / "tool" / "x.tif")), noise(3))
