"""``zeroair app``: how it starts, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.command import run


def test_without_gradio_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroair_pl.commands.app.find_spec", lambda name: None)
    outcome = run("app")
    assert outcome.status == 2
    assert "pip install 'zeroair-pl[app]'" in outcome.error


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--port", "70000"], "port is 70000"),
        (["--megapixels", "0"], "megapixels is 0"),
        (["--prot", "1"], "Did you mean '--port'"),
    ],
)
def test_a_wrong_option_is_named(words: list[str], expected: str) -> None:
    outcome = run("app", *words)
    assert outcome.status == 2
    assert expected in outcome.error


def test_a_port_that_is_taken_and_a_config_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("app", "--port", port)
    assert outcome.status == 2
    assert outcome.error.startswith(f"--port {port}: ")
    outcome = run("app", "--layers", "fsat")
    assert outcome.status == 2
    assert "Did you mean 'fast'" in outcome.error


def test_an_address_that_this_machine_does_not_have_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """The server tried a hundred ports, and logged an error for each."""
    pytest.importorskip("gradio")
    outcome = run("app", "--host", "192.0.2.1")
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith("error: --host 192.0.2.1: cannot be used (")
    assert "ERROR" not in outcome.err + capfd.readouterr().err


def test_a_page_for_other_machines_comes_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    served = SimpleNamespace(url="http://0.0.0.0:7860/")
    monkeypatch.setattr("zeroair_pl.app.serve.serving", lambda *args, **settings: nullcontext(served))
    monkeypatch.setattr("zeroair_pl.app.serve.forever", lambda: None)
    assert run("app").err == ""
    outcome = run("app", "--host", "0.0.0.0")
    assert outcome.err.startswith("warning: --host 0.0.0.0: ")
    assert "no password" in outcome.err


def test_it_serves_this_machine_until_it_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    program = [sys.executable, "-m", "zeroair_pl", "app"]
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        said = started.stdout.readline()
        assert said.startswith("zeroair is at http://127.0.0.1:"), said + started.stderr.read()
        folders = list(tmp_path.glob("zeroair-*"))
        assert len(folders) == 1
        with urllib.request.urlopen(said.split()[3], timeout=60) as answer:
            assert b"zeroair" in answer.read()
        started.send_signal(signal.SIGTERM)
        _, err = started.communicate(timeout=120)
    assert started.returncode == 143, err
    assert err.splitlines()[-1] == "stopped by SIGTERM"
    assert "Traceback" not in err
    assert not folders[0].exists()
