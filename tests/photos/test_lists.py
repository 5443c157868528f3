"""Lists of photos as editors, shells and spreadsheets write them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.lists import from_uri
from zeroair_pl.photos.source import Source


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty files, since finding opens none, in a folder that is not the working folder."""
    for name in ("a b.png", "ü.png", "c,d.png", "#1.png", "x.png", "y.png", "d/e.png", " lead.png", "back\\slash.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def found(folder: Path, name: str, content: str | bytes) -> list[str]:
    """The paths that a list names, relative to its folder."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    return [os.path.relpath(source.path, folder) for source in find_images(folder / name)]


def warned(folder: Path, content: str) -> tuple[list[Source], list[str]]:
    (folder / "list.csv").write_text(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sources = find_images(folder / "list.csv")
    return sources, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)  # fmt: skip
def test_encodings_and_ends_of_lines(lists: Path, encoding: str, end: str, suffix: str) -> None:
    lines = ["ü.png", "a b.png"] if suffix == ".txt" else ["image", "ü.png", "a b.png"]
    assert found(lists, f"list{suffix}", (end.join(lines) + end).encode(encoding)) == ["ü.png", "a b.png"]


def test_a_big_endian_list_with_a_mark(lists: Path) -> None:
    assert found(lists, "list.txt", b"\xfe\xff" + "ü.png\n".encode("utf-16-be")) == ["ü.png"]


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_a_name_of_bytes_that_are_no_text_is_that_file(lists: Path) -> None:
    name = b"\xe4\xfc.png"
    try:
        Path(os.fsdecode(os.fsencode(lists) + b"/" + name)).touch()
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    assert found(lists, "list.txt", name + b"\n") == [os.fsdecode(name)]


@pytest.mark.parametrize(
    "line, expected",
    [
        ('"a b.png"', "a b.png"),
        ("'a b.png'", "a b.png"),
        ("\u201ca b.png\u201d", "a b.png"),
        ("a\\ b.png", "a b.png"),
        ("d\\e.png", "d/e.png"),
        ('".\\d\\e.png"', "d/e.png"),
        ("d\\missing.png", "d/missing.png"),
        ("back\\slash.png", "back\\slash.png"),
        ("  x.png \t", "x.png"),
        (" lead.png", " lead.png"),
        ("#1.png", "#1.png"),
        ("c,d.png", "c,d.png"),
        ("C:\\photos\\x.png", "C:\\photos\\x.png"),
    ],
)
@pytest.mark.skipif(os.sep == "\\", reason="about backslashes elsewhere")
def test_entries_of_a_txt(lists: Path, line: str, expected: str) -> None:
    assert found(lists, "list.txt", f"{line}\ny.png\n") == [expected, "y.png"]


def test_a_hash_is_a_comment_where_there_is_no_such_file(lists: Path) -> None:
    assert found(lists, "list.txt", "# mine\n#x.png\n#1.png\n  # more\ny.png\n") == ["#1.png", "y.png"]


def test_uris(lists: Path) -> None:
    uri = (lists / "a b.png").as_uri()
    assert "%20" in uri
    assert found(lists, "list.txt", f"{uri}\n{uri.replace('file:///', 'file://localhost/')}\n") == ["a b.png"]
    assert found(lists, "list.txt", f"file://{lists.as_posix()}/a b.png\n") == ["a b.png"]
    assert [source.path for source in find_images(uri)] == [lists / "a b.png"]
    assert from_uri("file://elsewhere/a.png") == from_uri("https://x/a.png") == from_uri("file.png") == ""


@pytest.mark.parametrize(
    "content, expected",
    [
        ("image\nc,d.png\nx.png\n", ["c,d.png", "x.png"]),
        ('image\n"c,d.png"\n', ["c,d.png"]),
        ("image\nx.png,,\n", ["x.png"]),
        ("image,reference\nc,d.png,x.png\ny.png,\n", ["c,d.png", "y.png"]),
        ("image;note\nc,d.png;x\n", ["c,d.png"]),
        ("image\treference\na b.png\tx.png\n", ["a b.png"]),
        ("sep=;\r\nimage;reference\r\na b.png;x.png\r\n", ["a b.png"]),
        ("sep=\t\nimage\treference\na b.png\tx.png\n", ["a b.png"]),
        ("sep=|\nimage|reference\na b.png|x.png\n", ["a b.png"]),
        ('image,reference,note\nx.png,,"two\nlines"\ny.png,,\n', ["x.png", "y.png"]),
        ("image,reference\n\nx.png\n,\n", ["x.png"]),
        ("image,kind\nd\\e.png,haze\n", ["d/e.png"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not used")
def test_tables(lists: Path, content: str, expected: list[str]) -> None:
    assert found(lists, "list.csv", content) == expected


def test_a_row_that_does_not_fit_is_refused_with_what_to_do(lists: Path) -> None:
    with pytest.raises(ConfigError, match=r"row 3 has 3 cells, and the header 2; .* quotes: 'no,such\.png,y\.png'"):
        found(lists, "list.csv", "image,reference\nx.png,\nno,such.png,y.png\n")


def test_references_are_read_as_photos_are(lists: Path) -> None:
    sources, _ = warned(lists, f"image,reference\nx.png,d\\e.png\ny.png,{(lists / 'a b.png').as_uri()}\n")
    assert [source.reference for source in sources] == [lists / "d/e.png", lists / "a b.png"]


def test_rows_that_contradict_each_other_are_named(lists: Path) -> None:
    sources, said = warned(lists, "image,kind\nx.png,\nx.png,haze\nx.png,haze\nx.png,noise\n")
    assert [(source.path.name, source.kind) for source in sources] == [("x.png", "haze")]
    assert said == [f"{lists / 'x.png'} is listed twice, with the kind 'haze', which counts, and 'noise'."]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", b"\xff\xfea\0b\0c"])
def test_what_is_no_text_is_refused(lists: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match="the list cannot be read"):
        found(lists, "list.txt", content)
