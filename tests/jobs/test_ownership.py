"""A file that this program did not write is never replaced or removed, by any command; a refused run writes nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from helpers.command import TOY, Outcome, run, save_toy, table, with_toys
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.photos.ownership import OwnFiles

WORDS = ("--degradation", "Haze", *TOY, "--strips", "true", "--save_maps", "true")
MINE = b"this is mine\n"


@pytest.fixture
def folder(folder: Path) -> Path:
    """A working folder with two photos in ``in/``: a and b."""
    return with_toys(folder, "ab")


def restore(*words: str, out: str = "out") -> Outcome:
    return run("restore", "--images", "in", "--out", out, *WORDS, *words)


def mine(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(MINE)


def everything(folder: str = ".") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


# --- restore


@pytest.mark.parametrize("words", [(), ("--overwrite",), ("--trainer.devices", "2", "--trainer.accelerator", "cpu")])
@pytest.mark.parametrize("name", ["results.csv", "config.yaml"])
def test_restore_refuses_a_folder_with_such_a_file_of_mine(folder: Path, name: str, words: tuple[str, ...]) -> None:
    mine(f"out/{name}", "out/other.txt")
    before = everything()
    outcome = restore(*words)
    assert outcome.status == 2
    assert outcome.error == f"out/{name}: was not written by this program. Move it, or name another --out."
    assert outcome.out == ""
    assert everything() == before


@pytest.mark.parametrize("words", [(), ("--overwrite",)])
def test_pictures_of_mine_stay_and_the_photo_is_restored(folder: Path, words: tuple[str, ...]) -> None:
    names = ("out/strips/a.png", "out/maps/a_transmission.png")
    mine(*names)
    outcome = restore(*words)
    assert outcome.status == 0, outcome.err
    assert [row["status"] for row in table(folder)] == ["restored", "restored"]
    for name in names:
        assert Path(name).read_bytes() == MINE
        assert f"{name}: was not written by this program. It stays." in table(folder)[0]["note"]
        assert f"note: {name}: was not written by this program." in outcome.err
    assert Path("out/maps/a_airlight.png").is_file()
    assert Path("out/strips/b.png").is_file()
    assert restore("--overwrite").status == 0
    assert all(Path(name).read_bytes() == MINE for name in names)


def test_a_result_that_i_have_edited_stays(folder: Path) -> None:
    assert restore().status == 0
    mine("out/a.png", "out/strips/b.png")
    assert restore().status == 0
    assert [row["status"] for row in table(folder)] == ["skipped", "skipped"]
    outcome = restore("--seed", "1", "--overwrite")
    assert outcome.status == 1
    assert table(folder)[0]["reason"] == (
        "out/a.png: was changed since this program wrote it. Move it, or name another --out."
    )
    assert table(folder)[1]["status"] == "restored"
    assert Path("out/a.png").read_bytes() == Path("out/strips/b.png").read_bytes() == MINE
    Path("out/a.png").unlink()
    assert restore("--seed", "1").status == 0, "out of the way, it can be written"


def test_a_table_or_config_that_i_have_edited_is_kept_under_another_name(folder: Path) -> None:
    assert restore().status == 0
    mine("out/results.csv", "out/config.yaml")
    outcome = restore("--seed", "1")
    assert outcome.status == 0, outcome.err
    assert "note: out/results.csv was changed since it was written; it is now out/results.edited.csv" in outcome.err
    assert Path("out/results.edited.csv").read_bytes() == Path("out/config.edited.yaml").read_bytes() == MINE
    mine("out/results.csv")
    assert restore("--seed", "1").status == 0
    assert Path("out/results.edited-2.csv").read_bytes() == MINE
    assert [row["status"] for row in table(folder)] == ["skipped", "skipped"]


def test_a_refused_run_writes_nothing(folder: Path) -> None:
    before = everything()
    assert restore(out="in").error == "in/a.png: the output would replace the input; name another folder with --out."
    assert run("restore", "--images", "in/none", "--out", "out", *WORDS).status == 2
    wrong = "[{loss: test_restore_trouble.WrongSetting}]"
    assert restore("--guidance.terms", wrong, "--tensorboard", "true").status == 2
    assert restore("--degradation", "Neural", "--sampling.sampler", "NoiseMatchedSampler").status == 2
    assert everything() == before
    assert sorted(path.name for path in folder.iterdir()) == ["in"]


def test_a_run_that_is_refused_in_a_folder_of_results_leaves_it_as_it_was(folder: Path) -> None:
    assert restore("--tensorboard", "true").status == 0
    before = everything()
    save_toy(folder / "in/0.png", 5)
    outcome = restore("--guidance.terms", "[{loss: test_restore_trouble.WrongSetting}]", "--tensorboard", "true")
    assert outcome.status == 2
    after = everything()
    del after["in/0.png"]
    for files in (before, after):  # the board of a photo is begun anew by each fit
        for name in [name for name in files if "tfevents" in name or name.endswith(".sha256")]:
            del files[name]
    assert after == before


def test_event_files_of_others_stay(folder: Path) -> None:
    mine("out/tensorboard/a/events.out.tfevents.1.host.1.0")
    assert restore("--tensorboard", "true").status == 0
    assert restore("--tensorboard", "true", "--overwrite").status == 0
    names = sorted(path.name for path in Path("out/tensorboard/a").iterdir())
    assert len(names) == 2
    assert names[0] == "events.out.tfevents.1.host.1.0"
    assert names[1].endswith(".zeroair")


# --- other commands


@pytest.mark.parametrize("name", ["scores.csv", "summary.csv", "scores.json"])
def test_evaluate_keeps_my_files(folder: Path, name: str) -> None:
    words = ("evaluate", "--results", "in", "--references", "in", "--out", "scored")
    mine(f"scored/{name}")
    before = everything()
    assert run(*words).error == f"scored/{name}: was not written by this program. Move it, or name another --out."
    assert everything() == before
    Path(f"scored/{name}").unlink()
    assert run(*words).status == 0
    assert run(*words).status == 0, "what it wrote itself is replaced"


TRAIN = ("prior", "train", "--config", "prior/tiny", "--data.photos", "in", "--data.held_out", "1", "--out", "mine")


@pytest.mark.parametrize("words", [(), ("--overwrite",)])
@pytest.mark.parametrize("name", ["README.md", "prior.json", "unet/config.json", "training/config.yaml", "training/x"])
def test_training_a_prior_keeps_my_files(folder: Path, name: str, words: tuple[str, ...]) -> None:
    mine(f"mine/{name}")
    before = everything()
    outcome = run(*TRAIN, *words)
    assert outcome.status == 2
    assert "was not written by this program" in outcome.error
    assert everything() == before


def test_samples_replace_only_samples(folder: Path) -> None:
    words = (
        "prior",
        "sample",
        "--out",
        "in/a.png",
        "--count",
        "1",
        "--size",
        "16",
        "--steps",
        "1",
        "--prior",
        "helpers.toys.ToyPrior",
    )
    before = everything()
    assert "--out in/a.png: exists, and is not a picture of samples" in run(*words).error
    assert everything() == before
    words = (*words[:3], "drawn.png", *words[4:])
    assert run(*words).status == run(*words).status == 0


# --- the mechanism


def test_what_was_written_is_ours_until_somebody_changes_it(tmp_path: Path) -> None:
    own, path = OwnFiles(tmp_path), tmp_path / "sub/a.txt"
    own.check(["sub/a.txt"])
    own.write("sub/a.txt", b"one")
    own.write("sub/a.txt", b"two")
    assert path.read_bytes() == b"two"
    assert OwnFiles(tmp_path).ours("sub/a.txt"), "the record is in the folder"
    path.write_bytes(MINE)
    with pytest.raises(ConfigError, match=r"a\.txt: was changed since this program wrote it"):
        own.check(["sub/a.txt"])
    with pytest.raises(InputError, match=r"a\.txt: was changed"):
        own.write("sub/a.txt", b"three")
    own.remove("sub/a.txt")
    assert path.read_bytes() == MINE
    path.unlink()
    own.write("sub/a.txt", b"four")
    own.remove("sub/a.txt")
    assert not path.exists()


def test_a_link_or_folder_in_the_way_is_not_ours(tmp_path: Path) -> None:
    own = OwnFiles(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("folder", "link"):
        with pytest.raises(ConfigError, match=name):
            own.check([name])


def test_an_end_between_record_and_file_leaves_both_contents_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnFiles(tmp_path)
    own.write("a", b"one")
    with monkeypatch.context() as patch:
        patch.setattr("zeroair_pl.photos.ownership.write_atomically", _only_notes)
        own.write("a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    own.write("a", b"three")
    assert (tmp_path / "a").read_bytes() == b"three"


def test_two_writers_are_no_strangers_to_each_other(tmp_path: Path) -> None:
    """Two writers write many times at once. Neither takes the other's files for files of somebody else."""
    trouble: list[BaseException] = []

    def write(own: OwnFiles, data: bytes) -> None:
        try:
            for number in range(60):
                own.write("a", data + str(number).encode())
        except BaseException as error:
            trouble.append(error)

    writers = [threading.Thread(target=write, args=(OwnFiles(tmp_path), data)) for data in (b"x", b"y", b"z")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert trouble == []
    assert OwnFiles(tmp_path).ours("a")
    assert sorted(path.name for path in (tmp_path / ".zeroair/written").iterdir()) == ["a.sha256"]


def _only_notes(path: Path, data: bytes) -> None:
    if path.suffix == ".sha256":
        path.write_bytes(data)
