"""``zeroair doctor``: what it finds, and that it notices what is broken."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from helpers.command import run
from zeroair_pl.api import Method
from zeroair_pl.commands import doctor
from zeroair_pl.errors import ConfigError


def test_a_healthy_installation() -> None:
    outcome = run("doctor", "--json")
    assert outcome.status == 0, outcome.out
    found = json.loads(outcome.out)
    assert found["libraries"]["torch"] == metadata.version("torch")
    assert found["devices"][0]["name"] == "cpu"
    assert found["devices"][0]["cores"] >= 1
    assert found["prior"] == "small"
    assert 0 < found["noise_left"] < 0.5
    assert found["restoration_seconds"] > 0
    assert all(free > 0 for free in found["disk_free_bytes"].values())
    assert found["problems"] == []


def test_in_words() -> None:
    outcome = run("doctor")
    assert outcome.out.endswith("This installation works.\n")
    assert "torch " in outcome.out
    assert "GB free" in outcome.out


def test_extras_are_there_or_how_to_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._version_of
    monkeypatch.setattr(doctor, "_version_of", lambda name: "" if name == "ray" else real(name))
    extras = doctor._extras()
    if extras:  # installed, not only a checkout
        assert extras["ray"] == "pip install 'zeroair-pl[ray]'"


def test_a_prior_that_does_not_load_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **settings: object) -> Method:
        raise ConfigError("prior.path: 'small' is damaged.")

    monkeypatch.setattr(Method, "from_config", broken)
    outcome = run("doctor")
    assert outcome.status == 1
    assert "problem: the prior cannot be loaded" in outcome.out
    assert outcome.out.endswith("This installation does not work.\n")
