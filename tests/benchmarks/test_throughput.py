"""The benchmark of throughput: every part runs, adds up, and leaves the sections of the others as they are."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from helpers.command import run, scripts
from zeroair_pl.errors import ZeroAIRError

QUICK = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}
Bench = Callable[..., dict[str, Any]]


@pytest.fixture
def bench(script: ModuleType, tmp_path: Path) -> Bench:
    """Runs parts with toy photos and a toy prior, and returns what is in the JSON file."""
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    config = f"denoise+{tmp_path / 'quick.yaml'}"

    def measured(*words: str) -> dict[str, Any]:
        few = ["--side", "32", "--sides", "24", "32", "--photos", "3", "--repeat", "1"]
        assert script.main(["--config", config, "--presets", config, *few, *words]) == 0
        text = (tmp_path / "results" / "throughput.json").read_text()
        assert str(tmp_path) not in text, "results are published: no path of this machine"
        return json.loads(text)

    return measured


@scripts("benchmarks/throughput.py")
def test_lists_have_rates(script: ModuleType, bench: Bench) -> None:
    found = bench("--parts", "lists")["lists"]
    assert [(row["side"], row["pictures"]) for row in found["rows"]] == [(24, False), (32, False), (32, True)]
    assert all(0 < row["least"] <= row["per_minute"] <= row["most"] for row in found["rows"])
    assert found["config"] == "denoise+quick"
    assert "machine" in found


@scripts("benchmarks/throughput.py")
def test_the_share_of_the_prior(script: ModuleType, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench("--parts", "share")["share"]
    assert [row["pictures"] for row in found["rows"]] == [False, True]
    for row in found["rows"]:
        assert 0 < row["prior_s"] < row["fit_s"] < row["list_s"]
        assert 0 < row["of_list"] < row["of_fit"] < 1
    (goal,) = found["goals"]
    assert goal["value"] == found["rows"][1]["of_list"]
    assert goal["met"] == (goal["value"] >= 0.75)
    assert ("FAIL" in capsys.readouterr().out) == (not goal["met"])


@scripts("benchmarks/throughput.py")
def test_memory_is_watched_in_another_process(
    script: ModuleType, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def here(path: Path, *words: str | Path) -> tuple[float, str]:
        assert path.samefile(str(script.__file__))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert script.main([str(word) for word in words]) == 0
        return 1.0, out.getvalue()

    monkeypatch.setattr(script.throughput_lists.clocks, "started", here)
    found = bench("--parts", "memory", "--photos", "5")["memory"]
    (row,), (goal,) = found["rows"], found["goals"]
    assert len(row["resident"]) == 5
    assert row["first_quarter"] == pytest.approx(row["resident"][0], abs=0.1)
    assert row["most"] == max(row["resident"]) > 50
    assert goal["limit"] == max(20, round(0.05 * row["resident"][0], 1))
    assert "resident" not in capsys.readouterr().out, "a hundred numbers are not for the eye"


@scripts("benchmarks/throughput.py")
def test_commands_are_timed(
    script: ModuleType, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[list[str], dict[str, str]]] = []

    def here(path: Path, *words: str | Path, **variables: str) -> tuple[float, str]:
        assert path.name == "cli.py"
        assert path.is_file()
        asked.append(([str(word) for word in words], variables))
        several = "--trainer.devices" in words
        if words[0] == "restore" and "--help" not in words:  # several processes would take seconds to start
            assert run(*words, *(["--print_config"] if several else [])).status == 0
        return (2.0 if variables.get("OMP_NUM_THREADS") == "1" else 4.0), ""

    monkeypatch.setattr(script.throughput_commands.clocks, "started", here)
    monkeypatch.setattr(script.machine, "cores", lambda: 2)
    found = bench("--parts", "processes", "start")
    rows = found["processes"]["rows"]
    assert [(row["processes"], row["threads"], row["per_minute"], row["ratio"]) for row in rows] == [
        (1, 2, 45.0, 1.0),
        (2, 1, 90.0, 2.0),
    ]
    assert [(words[words.index("--trainer.devices") + 1], variables) for words, variables in asked[:2]] == [
        ("1", {"OMP_NUM_THREADS": "2"}),
        ("2", {"OMP_NUM_THREADS": "1"}),
    ]
    assert [row["command"] for row in found["start"]["rows"]] == ["--help", "restore --help", "one photo"]
    assert 0 < found["start"]["rows"][2]["fit"] < 4
    assert [goal["met"] for goal in found["start"]["goals"]] == [False]
    assert "seconds of --help: 4, goal ≤ 1: FAIL" in capsys.readouterr().out


@scripts("benchmarks/throughput.py")
def test_a_process_of_its_own(script: ModuleType) -> None:
    import clocks

    seconds, out = clocks.started("-c", "import os; print(os.environ['TOLD'])", TOLD="yes")
    assert seconds > 0
    assert out == "yes\n"
    with pytest.raises(ZeroAIRError, match="exit status 3: why"):
        clocks.started("-c", "import sys; print('why', file=sys.stderr); sys.exit(3)")


@scripts("benchmarks/throughput.py")
def test_a_part_leaves_the_others_alone(
    script: ModuleType, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "throughput.json").write_text('{"start": {"rows": []}}')
    monkeypatch.setitem(script.PARTS, "share", lambda options: {"rows": [{"side": options.side}]})
    found = bench("--parts", "share")
    assert list(found) == ["share", "start"]
    assert found["start"] == {"rows": []}


@scripts("benchmarks/throughput.py")
def test_what_cannot_be_measured(script: ModuleType, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--parts", "share", "--side", "900"]) == 2
    assert "the example photos have 500" in capsys.readouterr().err
