"""Ray Data on this machine alone: example 05 as it is, and what Ray makes of a mistake."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import zeroair_pl
from helpers.command import save_toy, scripts

pytestmark = pytest.mark.slow  # processes that load torch

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/05_map_over_ray_data.py"
TOY: dict[str, Any] = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Small enough for a container, and without a word to anyone outside."""
    import ray
    from psutil import Process, wait_procs  # which comes inside Ray

    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray-") as folder:
        before = set(Process().children(recursive=True))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # or it would leave one in the home folder
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(
            address="local",
            num_cpus=2,
            num_gpus=0,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=100_000_000,  # bytes
            _temp_dir=folder,
        )
        try:
            yield
        finally:
            started = set(Process().children(recursive=True)) - before
            ray.shutdown()
            _, left = wait_procs(started, timeout=60)  # a worker that is starting notices later
            for process in left:
                process.kill()
            assert not left


@scripts(EXAMPLE)
def test_the_map_gives_the_files_of_a_run_over_files(
    script: ModuleType, cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray.cloudpickle

    photos = tmp_path / "photos"
    good = ["one.png", "two.jpg", "trip/one.png", "trip/deep/three.bmp", "trip/four.tiff"]
    for i, name in enumerate(good):
        save_toy(photos / name, i)
    (photos / "trip" / "bad.png").write_bytes(b"no picture")
    (photos / "notes.md").write_text("no photo")
    ray.cloudpickle.register_pickle_by_value(script)  # as Ray does with what is run as a program
    rows = {row["path"]: row for row in script.main(photos, tmp_path / "mapped", config="denoise", **TOY)}

    quiet = {"tensorboard": False, "strips": False}
    results = zeroair_pl.restore(photos, "denoise", out=tmp_path / "files", **TOY, **quiet)
    assert rows.keys() == {row.input for row in results.rows}
    for row in results.rows:
        found = rows[row.input]
        assert "bytes" not in found
        assert [found[name] for name in ("status", "reason", "settings")] == [row.status, row.reason, row.settings]
    written = {path.relative_to(tmp_path / "mapped").as_posix() for path in (tmp_path / "mapped").rglob("*.*")}
    assert written == set(good)
    for name in good:
        assert (tmp_path / "mapped" / name).read_bytes() == (tmp_path / "files" / name).read_bytes()
    shown = capsys.readouterr().out
    assert f"{photos / 'one.png'}: restored, Noise" in shown
    assert f"{photos / 'trip' / 'bad.png'}: failed, {photos / 'trip' / 'bad.png'}: not a PNG" in shown


@scripts(EXAMPLE)
def test_a_wrong_setting_ends_the_map_with_its_reason(script: ModuleType, cluster: None, tmp_path: Path) -> None:
    import ray.cloudpickle
    from ray.exceptions import RayError

    save_toy(tmp_path / "toy.png")
    ray.cloudpickle.register_pickle_by_value(script)
    with pytest.raises(RayError, match=r"ConfigError: .*stesp"):
        script.main(tmp_path / "toy.png", tmp_path / "mapped", sampling={"stesp": 2})
    assert not (tmp_path / "mapped").exists()


@scripts(EXAMPLE)
def test_without_ray_one_line_says_what_to_install(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as stop:
        script.main(tmp_path, tmp_path / "out")
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "zeroair-pl[ray]"' in line
