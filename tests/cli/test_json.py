"""``--json`` for programs, ``--quiet``, and photos named without ``--images``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zeroair_pl
from helpers.command import TOY, run, save_toy
from helpers.outputs import table_of
from zeroair_pl.config.files import read_config
from zeroair_pl.jobs.records import COLUMNS

RESTORE = ("restore", "--config", "denoise", *TOY, "--out", "out")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two photos and a broken one."""
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "in/a.png", seed=1)
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    save_toy(tmp_path / "in/c.png", seed=2)
    return tmp_path


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_all_that_is_on_standard_output(folder: Path) -> None:
    outcome = run(*RESTORE, "in", "--json")
    assert outcome.status == 1
    *photos, summary = objects(outcome.out)
    assert [(each["type"], each["name"], each["status"]) for each in photos] == [
        ("photo", "a", "restored"), ("photo", "broken", "failed"), ("photo", "c", "restored"),
    ]  # fmt: skip
    assert all(list(each) == ["type", *COLUMNS] for each in photos)
    assert "broken.png" in photos[1]["reason"]
    assert photos[1]["seconds"] is None
    assert summary["type"] == "summary"
    assert (summary["photos"], summary["restored"], summary["failed"], summary["not_begun"]) == (3, 2, 1, 0)
    assert "error: " in outcome.err, "people are still told"
    assert "3 photos in" in outcome.err


def test_json_has_the_values_of_the_table_as_numbers(folder: Path) -> None:
    *photos, summary = objects(run(*RESTORE, "in/a.png", "--json").out)
    (row,) = table_of(Path(summary["table"]).parent)
    assert (photos[0]["width"], photos[0]["height"], photos[0]["nfe"]) == (32, 32, int(row["nfe"]))
    assert f"{photos[0]['noise_level']:.5f}" == row["noise_level"]
    assert photos[0]["psnr"] is None
    assert {key: photos[0][key] for key in ("kind", "output", "settings")} == {
        key: row[key] for key in ("kind", "output", "settings")
    }


def test_json_of_what_is_finished(folder: Path) -> None:
    run(*RESTORE, "in/a.png")
    photo, summary = objects(run(*RESTORE, "in/a.png", "--json").out)
    assert (photo["status"], summary["skipped"]) == ("skipped", 1)


def test_how_a_run_speaks_is_no_setting_of_the_folder(folder: Path) -> None:
    run(*RESTORE, "in/a.png", "--json")
    assert "json" not in read_config(Path("out/config.yaml")).values


def test_a_mistake_with_json_is_on_standard_error(folder: Path) -> None:
    outcome = run(*RESTORE, "absent.png/*", "--json")
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.error


def test_a_name_that_is_no_text_is_json(folder: Path) -> None:
    Path("in/a.png").rename(folder / b"in/\xff.png".decode("utf-8", "surrogateescape"))
    photo, *_ = objects(run(*RESTORE, "in", "--json", "--overwrite").out)[-2:]
    assert all(line.isascii() for line in run(*RESTORE, "in", "--json").out.splitlines())
    assert photo["status"] in ("restored", "failed")


def test_json_from_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"tensorboard": False, "strips": False, "sampling": {"steps": 2}, "prior": "helpers.toys.ToyPrior"}
    zeroair_pl.restore("in/a.png", "denoise", out="out", json=True, **options)
    assert [each["type"] for each in objects(capsys.readouterr().out)] == ["photo", "summary"]


# --- quiet


def test_a_quiet_run_prints_errors_only(folder: Path) -> None:
    outcome = run(*RESTORE, "in", "--quiet")
    assert outcome.status == 1
    assert outcome.out == ""
    assert "broken.png" in outcome.error, "one line, of the photo that failed"
    assert run(*RESTORE, "in/a.png", "in/c.png", "--quiet") == (0, "", "")


def test_quiet_and_json_together(folder: Path) -> None:
    outcome = run(*RESTORE, "in/a.png", "--quiet", "--json")
    assert outcome.err == ""
    assert len(objects(outcome.out)) == 2


# --- photos without --images


@pytest.mark.parametrize(
    "words",
    [
        ["in/a.png", "in/c.png", *RESTORE[1:]],
        [*RESTORE[1:], "in/a.png", "in/c.png"],
        [*RESTORE[1:], "--overwrite", "in/a.png", "--seed", "3", "in/c.png"],
        ["in/a.png", *RESTORE[1:], "--images", "in/c.png"],
    ],
)
def test_photos_need_no_option(words: list[str], folder: Path) -> None:
    outcome = run("restore", *words)
    assert outcome.status == 0, outcome.err
    assert sorted(path.name for path in Path("out").glob("*.png")) == ["a.png", "c.png"]


def test_other_commands_take_no_words_of_their_own(folder: Path) -> None:
    assert "unexpected argument 'in/a.png'" in run("evaluate", "in/a.png").error
