"""What the page does, without a browser: the list, its run, its stop, its files, and the same bytes as the command
line's."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command import TOY, run, save_toy
from helpers.toys import ToyPrior
from zeroair_pl import Method
from zeroair_pl.api import settings_of
from zeroair_pl.app.kinds import Kind, kinds
from zeroair_pl.app.pictures import painted
from zeroair_pl.app.session import Session
from zeroair_pl.app.studio import News, Studio, Wish, as_size
from zeroair_pl.resources import shipped

KINDS = {kind.name: kind for kind in kinds()}


@pytest.fixture
def studio() -> Iterator[Studio]:
    made = Studio(settings={"prior": ToyPrior(), "sampling": {"steps": 2}}, most=0.01)
    yield made
    made.close()


@pytest.fixture
def session(studio: Studio, tmp_path: Path) -> Iterator[Session]:
    made = Session(studio, tmp_path / "session", most=4)
    yield made
    made.close()


def upload(tmp_path: Path, name: str, seed: int = 0, side: int = 32) -> tuple[Path, str]:
    """A file as Gradio passes it: a path on this machine, and the original name."""
    return save_toy(tmp_path / "uploads" / f"{seed}-{side}" / name, seed, side, side), name


def test_every_shipped_config_of_one_degradation_is_offered() -> None:
    configs = {path.stem for path in shipped("configs").glob("*.yaml")} - {"fast"}
    assert configs <= set(KINDS)
    assert next(iter(KINDS)) == "auto"
    assert all(kind.hint.endswith(".") for kind in KINDS.values())


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_settings_of_a_kind_are_those_of_its_config(kind: Kind) -> None:
    """Untouched sliders are the config's own values, and the ends of each are values that its family takes."""
    config = kind.name
    plain = settings_of(config, **kind.settings({each.name: each.default for each in kind.controls}))
    if config == kind.name:
        assert plain == settings_of(config)
    for each in kind.controls:
        for value in (each.low, each.high):
            stated = settings_of(config, **kind.settings({each.name: value}))["degradation"]
            assert stated["init_args"][each.name] == value


def test_a_list_is_restored_as_the_command_line_does(session: Session, tmp_path: Path) -> None:
    files = [upload(tmp_path, "harbor.png", 1), upload(tmp_path, "pier.jpg", 2)]
    session.add([(save_toy(tmp_path / "copy" / name, seed), name) for seed, (_, name) in enumerate(files, 1)])
    list(session.run(Wish(KINDS["dehaze"], (("strength", 0.5),))))
    assert [shot.status for shot in session.shots.values()] == ["restored", "restored"]
    where: list[str | Path] = ["--images", *(path for path, _ in files), "--out", tmp_path / "out"]
    outcome = run("restore", "--config", "dehaze", *where, *TOY, "--degradation.strength", "0.5")
    assert outcome.status == 0, outcome.err
    for shot in session.shots.values():
        assert shot.save(session.folder / "out").read_bytes() == (tmp_path / "out" / shot.name).read_bytes()


def test_strength_acts_after_the_fit(session: Session, tmp_path: Path) -> None:
    path, name = upload(tmp_path, "harbor.png")
    session.add([(save_toy(tmp_path / "copy" / name), name)])
    list(session.run(Wish(KINDS["denoise"])))
    (shot,) = session.shots.values()
    full = shot.save(session.folder / "out").read_bytes()
    shot.strength = 0.4
    outcome = run(
        "restore", "--config", "denoise", "--images", path, "--out", tmp_path / "out", "--strength", "0.4", *TOY
    )
    assert outcome.status == 0, outcome.err
    assert shot.save(session.folder / "out").read_bytes() == (tmp_path / "out" / name).read_bytes() != full


def test_a_stopped_run_goes_on_where_it_was(session: Session, tmp_path: Path) -> None:
    session.add([upload(tmp_path, f"{seed}.png", seed) for seed in range(3)])
    wish = Wish(KINDS["denoise"])
    for shot in session.run(wish):
        if shot.name == "1.png" and shot.status == "running":
            session.stop()
    assert [shot.status for shot in session.shots.values()] == ["restored", "waiting", "waiting"]
    first = next(iter(session.shots.values())).restored
    list(session.run(wish))
    assert [shot.status for shot in session.shots.values()] == ["restored"] * 3
    assert next(iter(session.shots.values())).restored is first


def test_a_photo_that_fails_has_a_reason_and_the_others_go_on(session: Session, tmp_path: Path) -> None:
    broken = tmp_path / "uploads" / "broken.png"
    broken.parent.mkdir()
    broken.write_bytes(b"no photo")
    session.add([(broken, "broken.png"), upload(tmp_path, "huge.png", side=128), upload(tmp_path, "good.png")])
    list(session.run(Wish(KINDS["auto"])))
    reasons = {shot.name: (shot.status, shot.reason) for shot in session.shots.values()}
    assert reasons["good.png"] == ("restored", "")
    assert reasons["broken.png"][0] == reasons["huge.png"][0] == "failed"
    assert reasons["broken.png"][1].startswith("broken.png: ")
    assert "megapixels" in reasons["huge.png"][1]
    assert str(tmp_path) not in "".join(reason for _, reason in reasons.values())


def test_what_is_no_photo_or_too_much_is_left_out(session: Session, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("hello")
    said = session.add([(note, "note.txt"), *(upload(tmp_path, f"{seed}.png", seed) for seed in range(6))])
    assert len(session.shots) == 4
    assert "note.txt" in said
    assert "2 left out" in said


def test_nothing_is_left_behind(session: Session, tmp_path: Path) -> None:
    session.add([upload(tmp_path, "a.png"), upload(tmp_path, "b.png", 1)])
    list(session.run(Wish(KINDS["denoise"])))
    session.save_all()
    assert len(list(session.folder.rglob("*"))) > 4
    session.clear()
    assert list(session.folder.rglob("*")) == []
    session.close()
    assert not session.folder.exists()


def test_results_of_one_name_do_not_replace_each_other(session: Session, tmp_path: Path) -> None:
    session.add([upload(tmp_path, "a.png"), upload(tmp_path, "a.png", 1)])
    list(session.run(Wish(KINDS["denoise"])))
    with zipfile.ZipFile(session.save_all()) as archive:
        assert archive.namelist() == ["a.png", "a (2).png"]
        one, two = (archive.read(name) for name in archive.namelist())
    assert one != two


def test_what_is_painted_is_filled(session: Session, tmp_path: Path) -> None:
    session.add([upload(tmp_path, "a.png")])
    (shot,) = session.shots.values()
    list(session.run(Wish(KINDS["inpaint"])))
    assert "nothing is painted" in shot.reason
    mask = np.zeros((16, 16), bool)
    mask[4:8, 4:8] = True
    session.paint(mask)
    list(session.run(Wish(KINDS["inpaint"]), shot))
    assert shot.restored is not None, shot.reason
    want = Method.from_config("inpaint", prior=ToyPrior(), sampling={"steps": 2}).restore(
        save_toy(tmp_path / "a.png"), side={"missing": as_size(mask, (32, 32))}
    )
    assert torch.equal(shot.restored.pixels, want.pixels)


def test_only_what_is_painted_is_restored(session: Session, tmp_path: Path) -> None:
    path, name = upload(tmp_path, "a.png")
    session.add([(save_toy(tmp_path / "copy" / name), name)])
    mask = np.zeros((16, 16), bool)
    mask[:, 8:] = True
    session.paint(mask)
    list(session.run(Wish(KINDS["dehaze"])))
    (shot,) = session.shots.values()
    assert shot.restored is not None, shot.reason
    Image.fromarray(as_size(mask, (32, 32))).save(tmp_path / "mask.png")
    where = ("--images", path, "--out", tmp_path / "out", "--mask", tmp_path / "mask.png")
    outcome = run("restore", "--config", "dehaze", *where, *TOY)
    assert outcome.status == 0, outcome.err
    done = shot.save(session.folder / "out")
    assert done.read_bytes() == (tmp_path / "out" / name).read_bytes()
    one, other = (np.asarray(Image.open(file)) for file in (path, done))
    assert (one[:, :16] == other[:, :16]).all()
    assert (one[:, 16:] != other[:, 16:]).any()


def test_a_large_photo_is_shown_as_a_preview_first(
    studio: Studio, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wish(KINDS["dehaze"])
    session.add([upload(tmp_path, "a.png", side=64)])
    (shot,) = session.shots.values()
    list(session.run(wish))
    assert shot.restored is not None
    usual = shot.restored.pixels.clone()
    monkeypatch.setattr("zeroair_pl.app.studio.LARGE", 1000)
    monkeypatch.setattr("zeroair_pl.app.studio.PREVIEW", 900)
    studio.settings["sampling"] = {"steps": 2, "working_pixels": 1024}
    studio.methods.clear()
    seen = {}
    for each in session.run(wish, shot):
        if each.preview is not None:
            assert each.status == "running"
            seen[each.preview.full.shape] = each.shown
    assert list(seen) == [(3, 30, 30)]
    assert shot.preview is None
    assert shot.restored.pixels.shape == usual.shape
    assert float((shot.restored.pixels - usual).abs().mean()) < 0.1


def test_fits_of_several_users_do_not_overlap(studio: Studio, tmp_path: Path) -> None:
    """Each user gets news only of their own steps, and the steps of two photos are not mixed."""
    told: list[str] = []
    threads = []
    for name in ("a", "b"):
        path, _ = upload(tmp_path, f"{name}.png", ord(name))

        def wait(path: Path = path, name: str = name) -> None:
            def tell(news: News) -> None:
                told.append(name)

            studio.restore(path, path.name, Wish(KINDS["denoise"]), tell, threading.Event()).result()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert told in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


def test_a_painted_mask_is_read_and_nothing_else() -> None:
    from zeroair_pl.app.pictures import data_uri

    drawn = Image.new("RGBA", (8, 6))
    drawn.putpixel((2, 3), (255, 0, 0, 255))
    mask = painted(data_uri(drawn, "PNG"))
    assert mask is not None
    assert mask.shape == (6, 8)
    assert np.argwhere(mask).tolist() == [[3, 2]]
    assert painted("data:image/png;base64,AAAA") is None
    assert painted("file:///etc/passwd") is None
    assert painted(data_uri(Image.new("RGBA", (5000, 4)), "PNG")) is None
