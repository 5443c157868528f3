"""Photos in memory: the bytes and rows are those of a run over files, whatever the batch."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zeroair_pl
from helpers.command import save_toy
from helpers.toys import ToyPrior
from zeroair_pl import Restorer, api
from zeroair_pl.commands import restore as restoring
from zeroair_pl.errors import ConfigError
from zeroair_pl.jobs.records import Row

NO_IMAGE = "not a PNG, JPEG, WebP, TIFF or BMP image, or damaged at its start."
TOY: dict[str, Any] = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}


class CountedPrior(ToyPrior):
    """Counts how often one is made."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer("denoise", **TOY)


def batch_of(files: Sequence[Path]) -> dict[str, Any]:
    """A batch in the form that Ray Data passes."""
    columns = {"bytes": np.empty(len(files), dtype=object), "path": np.array([str(f) for f in files], dtype=object)}
    columns["bytes"][:] = [file.read_bytes() for file in files]
    return columns


def by_files(files: Sequence[Path], out: Path, **settings: Any) -> dict[str, tuple[Row, bytes]]:
    """Rows and restored files of a run over files, by the path of the photo."""
    quiet = {"tensorboard": False, "strips": False}
    results = zeroair_pl.restore(files, "denoise", out=out, **{**TOY, **quiet, **settings})
    return {row.input: (row, (out / row.output).read_bytes() if row.output else b"") for row in results.rows}


def test_bytes_and_rows_are_those_of_a_run_over_files(
    tmp_path: Path, restorer: Restorer, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [save_toy(tmp_path / "in" / "one.png", 1), save_toy(tmp_path / "in" / "two.jpg", 2, 24, 40)]
    files += [save_toy(tmp_path / "in" / "deep" / "three.v2.bmp", 3), tmp_path / "in" / "misnamed.jpg"]
    Image.open(files[0]).save(files[-1], "PNG")
    files += [tmp_path / "in" / "broken.png", tmp_path / "in" / "empty.png"]
    files[-2].write_bytes(files[0].read_bytes()[:200])
    files[-1].write_bytes(b"")
    expected = by_files(files, tmp_path / "out")
    capsys.readouterr()
    batch = {**batch_of(files), "label": np.arange(len(files))}
    given = dict(batch)
    found = restorer(batch)
    assert capsys.readouterr() == ("", "")
    assert all(batch[name] is given[name] for name in given), "the batch is the caller's"
    assert list(found["path"]) == [str(file) for file in files]
    assert list(found["label"]) == list(range(len(files))), "other columns come along"
    for i, file in enumerate(files):
        row, data = expected[str(file)]
        assert found["bytes"][i] == data
        assert found["name"][i] == file.stem
        assert found["output"][i] == Path(row.output).name
        same = {"status", "reason", "note", "kind", "settings"}
        assert {name: found[name][i] for name in same} == {name: asdict(row)[name] for name in same}
        for name in ("width", "height", "nfe"):
            assert found[name][i] == (getattr(row, name) or 0)
        assert found["noise_level"][i] == pytest.approx(row.noise_level or np.nan, rel=0, abs=0, nan_ok=True)
    assert list(found["status"]) == ["restored"] * 4 + ["failed"] * 2
    assert np.isnan(found["seconds"]).tolist() == [False] * 4 + [True] * 2


def test_types_of_columns_do_not_depend_on_the_photos(tmp_path: Path, restorer: Restorer) -> None:
    """Otherwise the parts of a data set could not be joined."""
    found = restorer(batch_of([save_toy(tmp_path / "toy.png")]))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for other in (restorer(batch_of([tmp_path / "bad.png"])), restorer(batch_of([]))):
        assert {name: values.dtype for name, values in other.items()} == {k: v.dtype for k, v in found.items()}
        assert {type(data) for data in other["bytes"]} <= {bytes}


def test_photos_of_one_name_get_what_each_would_get_alone(tmp_path: Path, restorer: Restorer) -> None:
    files = [save_toy(tmp_path / folder / "same.png", i) for i, folder in enumerate("abc")]
    alone = [by_files([file], tmp_path / "out" / str(i))[str(file)][1] for i, file in enumerate(files)]
    found = restorer(batch_of(files))
    assert list(found["bytes"]) == alone
    assert len(set(alone)) == 3
    assert list(found["output"]) == ["same.png"] * 3


def test_the_name_decides_and_not_where_it_lies(tmp_path: Path) -> None:
    """From pure noise, where random numbers change the result most."""
    restorer = Restorer(["denoise", "ablations/proximal", "ablations/from_noise"], **TOY)
    data = save_toy(tmp_path / "toy.png").read_bytes()
    paths = ["s3://bucket/one/toy.png", "bucket/two/toy.png", "toy.png", "other.png"]
    first, second, third, other = restorer({"path": paths, "bytes": [data] * 4})["bytes"]
    assert first == second == third != other


def test_the_prior_is_made_once(tmp_path: Path) -> None:
    before = CountedPrior.made
    restorer = Restorer("denoise", **{**TOY, "prior": CountedPrior})
    batches = [batch_of([save_toy(tmp_path / f"{i}.png", i)]) for i in range(2)]
    first = restorer(batches[0])["bytes"][0]
    assert restorer(batches[1])["bytes"][0] != first
    assert restorer(batches[0])["bytes"][0] == first
    assert CountedPrior.made == before + 1


def test_nothing_is_left_behind(tmp_path: Path, restorer: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of([save_toy(tmp_path / "in" / "toy.png")])
    (tmp_path / "temporary").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "here")
    assert restorer(batch)["status"][0] == "restored"
    assert list((tmp_path / "temporary").iterdir()) == []
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    "path, content, reason",
    [
        ("s3://bucket/folder/", b"", "s3://bucket/folder/: its path names no file."),
        (None, b"x", "a photo: its path names no file."),
        ("toy.png", None, "toy.png: its bytes are missing (of type NoneType)."),
        ("x" * 300 + ".png", b"x", f"{'x' * 300}.png: {NO_IMAGE}"),
        ("photos.txt", b"/etc/passwd.png", f"photos.txt: {NO_IMAGE}"),
        ("s3://bucket/\0.png", b"x", f"s3://bucket/\0.png: {NO_IMAGE}"),
    ],
)
def test_what_is_no_photo_fails_alone(
    path: str | None, content: bytes | None, reason: str, tmp_path: Path, restorer: Restorer
) -> None:
    data = save_toy(tmp_path / "good.png").read_bytes()
    found = restorer({"path": ["good.png", path], "bytes": [data, content]})
    assert list(found["status"]) == ["restored", "failed"]
    assert list(found["reason"]) == ["", reason]
    assert found["bytes"][0]
    assert found["bytes"][1] == b""


def test_variables_of_a_launch_make_no_rank_of_it(
    tmp_path: Path, restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of a cluster that was set up under SLURM inherit these."""
    for name, value in {"PROCID": 1, "NTASKS": 4, "LOCALID": 1, "JOB_ID": 7, "NODELIST": "nowhere"}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert restorer(batch_of([save_toy(tmp_path / "toy.png")]))["status"][0] == "restored"


@pytest.mark.parametrize(
    "batch, words",
    [
        ({"bytes": [b""]}, "no column 'path'.*include_paths=True.*found: 'bytes'"),
        ({"item": ["a.png"]}, "no column 'path' and no column 'bytes'.*found: 'item'"),
        ({}, "found: none"),
    ],
)
def test_a_missing_column(batch: dict[str, Any], words: str, restorer: Restorer) -> None:
    with pytest.raises(ConfigError, match=words):
        restorer(batch)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"out": "clear"}, "out: not a setting of a method"),
        ({"strips": True, "tensorboard": False}, "strips, tensorboard"),
        ({"sampling": {"stesp": 3}}, "stesp"),
        ({"config": "denosie"}, "Did you mean 'denoise'"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Restorer(**{"config": "denoise", **settings})


def test_a_worker_has_one_device() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.devices: 2; a worker has one device"):
        Restorer("denoise", **TOY, trainer={"devices": 2, "accelerator": "cpu"})


def test_settings_of_a_run_over_files_can_be_taken_over(tmp_path: Path) -> None:
    file = save_toy(tmp_path / "toy.png")
    data = by_files([file], tmp_path / "out", strips=True, seed=3)[str(file)][1]
    assert restored_with(tmp_path / "out" / "config.yaml", file) == data


def test_settings_are_of_a_method_or_of_a_run() -> None:
    """What a run over files has beside its method is left out of the settings that are taken over, all of it."""
    of_a_method = set(inspect.signature(api._settings).parameters)
    assert set(inspect.signature(restoring.restore).parameters) - of_a_method == set(api.OF_A_RUN)


def restored_with(config: Path, file: Path) -> bytes:
    return bytes(Restorer(config)(batch_of([file]))["bytes"][0])
