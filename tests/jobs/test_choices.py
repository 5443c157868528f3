"""A photo's own kind and strength hold for all later runs, however the photo is listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from helpers.command import TOY, Outcome, run, save_toy
from helpers.outputs import table_of
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.choices import Choice, degradation_named, stated

FOLDER = ("--images", "in", "--degradation", "Noise")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with photos in ``in/``, restored to ``out/`` as Noise: a, trip/a and trip/b."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a", "trip/a", "trip/b")):
        save_toy(tmp_path / f"in/{name}.png", seed)
    assert restore(*FOLDER).status == 0
    return tmp_path


def restore(*words: str, out: str = "out") -> Outcome:
    return run("restore", *words, "--out", out, *TOY)


def rows(out: str = "out") -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["kind"], row["status"]) for row in table_of(out)}


def settings() -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(Path("out/config.yaml").read_text())
    return {key: found[key] for key in ("images", "degradation")}


def corrected(folder: Path, outcome: Outcome) -> None:
    """trip/b was restored as haze, in its place; nothing else has changed, and later runs keep it."""
    assert outcome.status == 0, outcome.err
    assert rows()["trip/b"] == ("Haze", "restored")
    assert rows()["a"][0] == rows()["trip/a"][0] == "Noise"
    assert settings() == {
        "images": [str(folder / "in")],
        "degradation": {"class_path": "Noise", "init_args": {"level": None}},
    }
    made = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.png"))
    assert made == ["a.png", "trip/a.png", "trip/b.png"]
    before = Path("out/trip/b.png").read_bytes()
    again = restore(*FOLDER)
    assert again.status == 0
    assert "note: trip/b keeps its own choice: Haze" in again.err
    assert rows() == {"a": ("Noise", "skipped"), "trip/a": ("Noise", "skipped"), "trip/b": ("Haze", "skipped")}
    assert Path("out/trip/b.png").read_bytes() == before
    assert restore(*FOLDER, "--overwrite").status == 0
    assert Path("out/trip/b.png").read_bytes() == before, "made again, as its own kind"


def test_redo_by_the_name_of_the_table(folder: Path) -> None:
    corrected(folder, run("redo", "out", "trip/b", "--kind", "haze"))


def test_a_photo_of_a_sub_folder_by_its_path_and_another_degradation(folder: Path) -> None:
    corrected(folder, restore("--images", "in/trip/b.png", "--degradation", "Haze"))


def test_a_list_with_a_column_kind(folder: Path) -> None:
    Path("list.csv").write_text("image,kind\nin/a.png,\nin/trip/a.png,noise\nin/trip/b.png,dehaze\n")
    outcome = restore("--images", "list.csv", "--degradation", "Noise")
    assert outcome.status == 0, outcome.err
    assert rows() == {"a": ("Noise", "skipped"), "trip/a": ("Noise", "skipped"), "trip/b": ("Haze", "restored")}
    restore(*FOLDER)  # the folder's settings are the list's now
    corrected(folder, restore(*FOLDER, "--overwrite"))


def test_the_table_edited_and_given_back(folder: Path) -> None:
    table = Path("out/results.csv")
    table.write_text(
        table.read_text().replace(
            "in/trip/b.png,trip/b.png,restored,,,32,32,Noise", "in/trip/b.png,trip/b.png,restored,,,32,32,low light"
        )
    )
    outcome = restore("--images", "out/results.csv", "--degradation", "Noise")
    assert outcome.status == 0, outcome.err
    assert rows() == {"a": ("Noise", "skipped"), "trip/a": ("Noise", "skipped"), "trip/b": ("LowLight", "restored")}
    assert "low light" in Path("out/results.edited.csv").read_text(), "what was edited is not lost"
    assert restore(*FOLDER).status == 0
    assert rows()["trip/b"] == ("LowLight", "skipped")


def test_a_choice_is_taken_back(folder: Path) -> None:
    before = Path("out/trip/b.png").read_bytes()
    for words in (
        ("redo", "out", "trip/b", "--kind", "folder"),
        ("restore", "--images", "in/trip/b.png", "--degradation", "Noise", "--out", "out", *TOY),
    ):
        assert run("redo", "out", "trip/b", "--kind", "haze").status == 0
        assert Path("out/trip/b.png").read_bytes() != before
        assert run(*words).status == 0
        assert rows()["trip/b"] == ("Noise", "restored")
        assert Path("out/trip/b.png").read_bytes() == before
        assert "keeps its own choice" not in restore(*FOLDER).err


def test_a_choice_outlives_new_settings_of_the_folder(folder: Path) -> None:
    run("redo", "out", "trip/b", "--kind", "haze")
    assert restore("--images", "in", "--degradation", "LowLight").status == 0
    assert {name: kind for name, (kind, _) in rows().items()} == {
        "a": "LowLight",
        "trip/a": "LowLight",
        "trip/b": "Haze",
    }


def test_a_choice_gives_the_bytes_of_a_run_with_these_settings(folder: Path) -> None:
    run("redo", "out", "trip/b", "--kind", "haze")
    restore("--images", "in/trip/b.png", "--degradation", "Haze", out="other")
    assert Path("out/trip/b.png").read_bytes() == Path("other/b.png").read_bytes()


def test_a_photo_listed_in_another_way_keeps_its_place(folder: Path) -> None:
    assert restore("--images", "in/trip", "--degradation", "Noise").status == 0
    assert rows() == {"a": ("Noise", "restored"), "trip/a": ("Noise", "skipped"), "trip/b": ("Noise", "skipped")}
    save_toy(folder / "else/trip/b.png", 7)
    assert restore("--images", "else/trip/b.png", "in/trip/b.png", "--degradation", "Noise").status == 0
    assert rows()["else/trip/b"] == ("Noise", "restored"), "another photo of that name"
    assert rows()["trip/b"] == ("Noise", "skipped")


@pytest.mark.parametrize("way", ["option", "redo", "list"])
def test_strength(folder: Path, way: str) -> None:
    whole = np.asarray(Image.open("out/a.png")).astype(float)
    photo = np.asarray(Image.open("in/a.png")).astype(float)
    if way == "option":
        outcome = restore(*FOLDER, "--strength", "0.25")
    elif way == "redo":
        outcome = run("redo", "out", "a", "--strength", "0.25")
    else:
        Path("list.csv").write_text("image,strength\nin/a.png,0.25\n")
        outcome = restore("--images", "list.csv", "--degradation", "Noise")
    assert outcome.status == 0, outcome.err
    now = np.asarray(Image.open("out/a.png")).astype(float)
    assert 0.05 < np.abs(now - photo).mean() / np.abs(whole - photo).mean() < 0.35, "a quarter, and less of its texture"
    assert np.abs(whole - photo).max() > 4
    if way != "option":
        assert "note: a keeps its own choice: strength 0.25" in restore(*FOLDER).err


@pytest.mark.parametrize("kind", ["Haze + Jpeg", "[haze, jpeg]"])
def test_several_kinds_as_the_table_has_them(folder: Path, kind: str) -> None:
    assert run("redo", "out", "trip/b", "--kind", kind).status == 0
    assert rows()["trip/b"] == ("Haze + Jpeg", "restored")
    assert "note: trip/b keeps its own choice: Haze + Jpeg" in restore(*FOLDER).err
    Path("list.csv").write_text(f'image,kind\nin/trip/b.png,"{kind}"\n')
    assert restore("--images", "list.csv", "--degradation", "Noise", out="other").status == 0
    assert rows("other")["in/trip/b"] == ("Haze + Jpeg", "restored")
    assert Path("other/in/trip/b.png").read_bytes() == Path("out/trip/b.png").read_bytes()


def test_a_table_whose_results_have_the_names_of_their_photos_is_a_list_of_the_photos(folder: Path) -> None:
    Path("list.csv").write_text("image\nin/a.png\nin/trip/b.png\n")
    assert restore("--images", "list.csv", "--degradation", "Noise", out="new").status == 0
    assert {path.as_posix() for path in Path("new/in").rglob("*.png")} == {"new/in/a.png", "new/in/trip/b.png"}
    again = restore("--images", "new/results.csv", "--degradation", "Noise", out="new")
    assert again.status == 0, again.err
    assert rows("new") == {"in/a": ("Noise", "skipped"), "in/trip/b": ("Noise", "skipped")}


def test_a_choice_that_cannot_be_is_refused_and_changes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    for words, said in (
        (("trip/b", "--kind", "hase"), "--kind: there is no kind 'hase'. Did you mean 'Haze'?"),
        (("trip/c", "--kind", "haze"), "trip/c: out/results.csv has no photo of that name. Did you mean 'trip/"),
        (("trip/b", "--kind", "haze + nois"), "--kind: there is no kind 'nois'. Did you mean 'Noise'?"),
        (("trip/b", "--strength", "2"), "strength is 2.0, expected a number from 0 to 1"),
        (("trip/b", "--strength", "60"), "strength is 60.0, expected a number from 0 to 1. Did you mean 0.6?"),
        (("trip/b",), "redo: state what to change"),
        (("--kind", "haze"), "redo: name the photos"),
    ):
        assert said in run("redo", "out", *words).error
    assert "no output folder of restore" in run("redo", "in", "a", "--kind", "haze").error
    for cells, said in (
        ("kind\nin/a.png,hase", "the list's row of in/a.png: there is no kind 'hase'. Did you mean 'Haze'?"),
        ("strength\nin/a.png,much", "the list's row of in/a.png: strength is much, expected a number from 0"),
    ):
        Path("list.csv").write_text(f"image,{cells}\n")
        assert said in restore("--images", "list.csv", "--degradation", "Noise").error
    assert "strength is 1.5" in restore(*FOLDER, "--strength", "1.5").error
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_a_column_that_is_not_used_is_named(folder: Path) -> None:
    Path("list.csv").write_text("image,knd\nin/a.png,haze\n")
    outcome = restore("--images", "list.csv", "--degradation", "Noise")
    assert "warning: list.csv: not used: the column 'knd'. Did you mean 'kind'?" in outcome.err


def test_what_is_kept(folder: Path) -> None:
    run("redo", "out", "trip/b", "--kind", "haze", "--strength", "0.5")
    record = json.loads(Path("out/.zeroair/trip/b.json").read_text())
    assert record["choice"] == {"degradation": {"class_path": "Haze"}, "strength": 0.5}
    assert str(Choice(**record["choice"])) == "Haze, strength 0.5"
    assert Choice(**record["choice"]).without({"degradation": stated("Haze"), "strength": 0.5}) == Choice()


@pytest.mark.parametrize("word", ["Haze", "haze", "dehaze", "low light", "LOW_LIGHT", "low_light", "lowlight"])
def test_kinds_in_many_spellings(word: str) -> None:
    assert degradation_named(word, "") == {"class_path": "LowLight" if "l" in word.lower()[:1] else "Haze"}
    with pytest.raises(ConfigError, match=r"Known: .*Haze"):
        degradation_named("nothing like it", "")
