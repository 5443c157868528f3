"""Finding photos: what a spec names, in which order, under which name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.photos.finding import find_images
from zeroair_pl.photos.reading import load_photo


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of empty files, finding opens none; the working folder is its parent."""
    for name in (
        "b.png",
        "a.JPG",
        "notes.md",
        "sub/c.tif",
        "sub/deep/d.webp",
        ".hidden.png",
        ".cache/e.png",
        "sub/f.bmp",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def names(*specs: str | Path) -> list[str]:
    return [source.name for source in find_images(specs)]


def test_folder_is_recursive_sorted_and_leaves_out_hidden_and_other_files(tree: Path) -> None:
    assert names("photos") == ["a", "b", "sub/c", "sub/deep/d", "sub/f"]
    assert find_images("photos")[0].path == Path("photos/a.JPG")


def test_one_path_instead_of_a_list_is_one_spec(tree: Path) -> None:
    assert [source.name for source in find_images("photos/b.png")] == ["b"]


def test_order_is_as_listed_and_each_file_comes_once(tree: Path) -> None:
    assert names("photos/sub/c.tif", tree, tree / "b.png", "photos/../photos/sub/c.tif") == [
        "c",
        "a",
        "b",
        "sub/deep/d",
        "sub/f",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.png", ["b"]),
        ("photos/*", ["a", "b", "sub/c", "sub/deep/d", "sub/f"]),
        ("photos/**/*", ["a", "b", "sub/c", "sub/deep/d", "sub/f"]),
        ("photos/**/d*", ["sub/deep/d"]),
        ("photos/s*/[cf].*", ["sub/c", "sub/f"]),
        ("photos/s*", ["sub/c", "sub/deep/d", "sub/f"]),
    ],
)
def test_globs(tree: Path, pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected
    assert names(str(tree.parent / pattern)) == expected


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tree: Path) -> None:
    (tree / "x[1].png").touch()
    (tree / "x1.png").touch()
    assert names("photos/x[1].png") == ["x[1]"]


def test_txt_list_keeps_missing_files_and_skips_comments(tree: Path) -> None:
    (tree / "list.txt").write_text("\ufeff# mine\n\nsub/c.tif\n  b.png \nnot there.png\n#b.png\n", encoding="utf-8")
    sources = find_images([tree / "list.txt"])
    assert [source.name for source in sources] == ["sub/c", "b", "not there"]
    assert [source.path.exists() for source in sources] == [True, True, False]


def test_listed_paths_fall_back_to_the_working_folder(tree: Path) -> None:
    (tree / "sub/list.txt").write_text("f.bmp\nphotos/b.png\n")
    assert [source.path for source in find_images(["photos/sub/list.txt"])] == [
        Path("photos/sub/f.bmp"),
        Path("photos/b.png"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_list_with_references(tree: Path, delimiter: str) -> None:
    rows = [["Image", "note", "reference"], ["a.JPG", "first", "sub/c.tif"], ["", "", ""], ["b.png", "second", ""]]
    (tree / "list.csv").write_text("".join(delimiter.join(row) + "\n" for row in rows))
    sources = find_images(["photos/list.csv"])
    found = [(source.name, source.reference) for source in sources]
    assert found == [("a", Path("photos/sub/c.tif")), ("b", None)]


def test_a_list_adds_references_to_files_already_named(tree: Path) -> None:
    (tree / "list.csv").write_text("image,reference\nb.png,a.JPG\n")
    sources = find_images(["photos", "photos/list.csv"])
    assert [source.name for source in sources] == ["a", "b", "sub/c", "sub/deep/d", "sub/f"]
    assert [source.reference for source in sources] == [None, Path("photos/a.JPG"), None, None, None]


def test_names_do_not_collide(tmp_path: Path) -> None:
    for name in (
        "one/x.png",
        "two/x.png",
        "two/x.jpg",
        "two/y.b.png",
        "two/y.c.png",
        "one/deep/z.png",
        "two/deep/z.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {
        source.path.relative_to(tmp_path).as_posix(): source.name
        for source in find_images([tmp_path / "one", tmp_path / "two"])
    }
    assert found == {
        "one/x.png": "x",
        "two/x.png": "x_png",
        "two/x.jpg": "x_jpg",
        "two/y.b.png": "y.b",
        "two/y.c.png": "y.c",
        "one/deep/z.png": "one/deep/z",
        "two/deep/z.png": "two/deep/z",
    }
    (tmp_path / "two/x_png.png").touch()
    (tmp_path / "two/X.png").touch()
    everything = [source.name for source in find_images([tmp_path / "one", tmp_path / "two"])]
    assert len({name.casefold() for name in everything}) == len(everything) == 9


def test_names_do_not_depend_on_how_the_path_is_written(tree: Path) -> None:
    assert names("photos/sub") == names(tree / "sub") == names("photos/sub/../sub") == ["c", "deep/d", "f"]
    assert names("../" + tree.parent.name + "/photos/b.png") == ["b"]


def test_symlink_loops_end(tree: Path) -> None:
    os.symlink(tree, tree / "a-loop")
    os.symlink(tree / "sub", tree / "sub/deep/loop")
    os.symlink(tree / "b.png", tree / "z-again.png")
    assert names("photos") == names("photos/**/*") == ["a", "b", "sub/c", "sub/deep/d", "sub/f"]


def test_a_linked_folder_is_searched(tree: Path) -> None:
    os.symlink(tree / "sub", tree.parent / "link")
    assert names("link") == ["c", "deep/d", "f"]
    (tree.parent / "outer").mkdir()
    os.symlink(tree / "sub", tree.parent / "outer/inner")
    assert names("outer") == ["inner/c", "inner/deep/d", "inner/f"]


def test_the_output_folder_is_not_searched(tree: Path) -> None:
    for spec in ("photos", "photos/**/*", "photos/*"):
        assert [source.name for source in find_images([spec], skip=tree / "sub")] == ["a", "b"]


def test_a_named_file_that_is_missing_fails_alone(tree: Path) -> None:
    sources = find_images(["photos/bb.png", "photos/b.png"])
    assert [str(source.path) for source in sources] == ["photos/bb.png", "photos/b.png"]
    with pytest.raises(InputError, match=r"photos/bb.png does not exist. Did you mean 'b.png'"):
        load_photo(sources[0].path)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("photos/bb", "photos/bb does not exist."),
        ("photoz/b", "there is no 'photoz'. Did you mean 'photos'?"),
        ("photos/*.gif", r"photos/\*.gif matches nothing"),
        ("photoz/*.png", r"photoz/\*.png matches nothing: 'photoz' does not exist. Did you mean 'photos'?"),
        ("photos/*.md", r"photos/\*.md matches 1 path\(s\) but no image \(.avif, .bmp, .jfif"),
        ("empty", "empty: the folder holds no image"),
        ("", "an entry is empty"),
        ("blank.txt", "blank.txt: the list names no image"),
        ("wrong.csv", "wrong.csv: the header needs a column 'image' .* but is 'file,reference'"),
        ("hole.csv", "hole.csv: row 2 names no image: it is ',x.png'"),
        ("binary.txt", "binary.txt: the list cannot be read"),
    ],
)
def test_specs_that_name_nothing(tree: Path, spec: str, expected: str) -> None:
    Path("empty").mkdir()
    Path("blank.txt").write_text("# nothing\n\n")
    Path("wrong.csv").write_text("file,reference\nb.png,\n")
    Path("hole.csv").write_text("image,reference\n,x.png\n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(ConfigError, match=expected):
        find_images(["photos", spec])


def test_no_specs_at_all() -> None:
    with pytest.raises(ConfigError, match="No images are named"):
        find_images([])


def test_unusual_suffix_is_accepted_when_named(tree: Path) -> None:
    (tree / "scan").touch()
    assert names("photos/scan", "photos/notes.md") == ["scan", "notes"]
