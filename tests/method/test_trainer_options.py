"""Callbacks and loggers in ``trainer``: named, described or given; and a Trainer that is of use after its fit."""

from __future__ import annotations

import csv
import gc
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger

from helpers.command import TOY, run, save_toy
from helpers.fitting import hazy, method
from helpers.moments import names
from zeroair_pl import Method
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.fit import fit
from zeroair_pl.method.sampling import DiffusionSampling
from zeroair_pl.method.trainer_options import checked_options


class Keeper(Callback):
    """Keeps the Trainer of each fit, and counts timesteps."""

    kept: list[Trainer] = []  # noqa: RUF012 - of all that are made from a config

    def __init__(self, every: int = 1) -> None:
        self.every, self.steps = every, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.kept.append(trainer)

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps += 1


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    Keeper.kept.clear()


def logged(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_run_over_files_has_a_log_for_each_photo(tmp_path: Path) -> None:
    for name in "ab":
        save_toy(tmp_path / f"in/{name}.png", ord(name))
    words: list[str | Path] = ["restore", "--images", tmp_path / "in", "--out", tmp_path / "out", *TOY, "--batch", "1"]
    outcome = run(*words, "--trainer.logger", "CSVLogger")
    assert outcome.status == 0, outcome.err
    for name in "ab":
        rows = logged(tmp_path / f"out/logs/{name}/version_0/metrics.csv")
        assert [row["step"] for row in rows] == ["0", "1"]
        assert all(float(row["noise_level"]) > 0 for row in rows)
        assert "modeling/likelihood" in rows[0]


def test_photos_of_a_group_are_told_apart(tmp_path: Path) -> None:
    fit(hazy(2), names(2), method(steps=2), trainer={"logger": CSVLogger(str(tmp_path), name="both")})
    (row, _) = logged(tmp_path / "both/version_0/metrics.csv")
    assert {f"{name}/noise_level" for name in names(2)} <= set(row)


def test_a_config_names_callbacks_of_ones_own(tmp_path: Path) -> None:
    save_toy(tmp_path / "in/a.png", 1)
    save_toy(tmp_path / "in/b.png", 2)
    config = tmp_path / "mine.yaml"
    config.write_text(
        "trainer:\n  callbacks:\n    - {class_path: test_trainer_options.Keeper, init_args: {every: 3}}\n    - Timer\n"
        f"  logger: {{class_path: CSVLogger, init_args: {{save_dir: {tmp_path}/mine, name: x}}}}\n"
    )
    outcome = run(
        "restore", "--config", config, "--images", tmp_path / "in", "--out", tmp_path / "out", *TOY, "--batch", "1"
    )
    assert outcome.status == 0, outcome.err
    assert len(Keeper.kept) == 2
    for trainer in Keeper.kept:
        (keeper,) = (each for each in trainer.callbacks if isinstance(each, Keeper))  # type: ignore[attr-defined]
        assert (keeper.every, keeper.steps) == (3, 2), "each photo has one of its own"
    assert (tmp_path / "mine/x/version_0/metrics.csv").is_file()


@pytest.mark.parametrize("logger", [CSVLogger, "instance", "partial"], ids=str)
def test_objects_are_taken_as_they_are(logger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"instance": CSVLogger("logs", name="p"), "partial": partial(CSVLogger, "logs", name="p")}.get(
        logger, logger
    )
    keeper = Keeper()
    restored = Method.from_config(
        "denoise", prior="helpers.toys.ToyPrior", sampling={"steps": 2}, trainer={"logger": given, "callbacks": keeper}
    )
    restored.restore(save_toy(tmp_path / "p.png"))
    assert keeper.steps == 2
    assert len(logged(tmp_path / "logs/p/version_0/metrics.csv")) == 2


def test_a_log_changes_no_bit(tmp_path: Path) -> None:
    y = hazy(1)
    plain = fit(y, names(1), method(steps=3)).restored
    assert fit(y, names(1), method(steps=3), trainer={"logger": CSVLogger(str(tmp_path))}).restored.equal(plain)


def test_the_users_trainer_lives_on_and_holds_no_photo(tmp_path: Path) -> None:
    modules: list[weakref.ref[Any]] = []

    class Looks(Keeper):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            super().on_train_start(trainer, pl_module)
            modules.append(weakref.ref(pl_module))

    gc.collect()
    gc.disable()
    try:
        looks, logger = Looks(), CSVLogger(str(tmp_path))
        fit(hazy(1), names(1), method(steps=3), [looks], {"logger": logger})
        assert [each() for each in modules] == [None], "without waiting for the garbage collector"
    finally:
        gc.enable()
    (trainer,) = looks.kept
    assert trainer.logger is logger
    assert trainer.fit_loop.epoch_loop.batch_idx == 2
    assert looks in trainer.callbacks  # type: ignore[attr-defined]
    assert not any(isinstance(each, DiffusionSampling) for each in trainer.callbacks)  # type: ignore[attr-defined]
    assert trainer.state.finished


@pytest.mark.parametrize(
    "trainer, said",
    [
        ({"logger": "CVSLogger"}, "there is no logger 'CVSLogger'. Did you mean 'CSVLogger'?"),
        ({"callbacks": ["Keepr"]}, "there is no callback 'Keepr'. Did you mean 'Keeper'?"),
        ({"callbacks": "nowhere.Mine"}, "trainer.callbacks: 'nowhere.Mine' cannot be imported"),
        ({"callbacks": ["CSVLogger"]}, "there is no callback 'CSVLogger'"),
        ({"callbacks": 3}, "expected the name of a class, but got a int"),
        ({"enable_checkpointing": True}, "is decided by the fit itself"),
    ],
)
def test_mistakes_are_found_before_any_photo(trainer: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_options(trainer)
    assert said in str(caught.value)


def test_what_cannot_be_built_is_said_in_one_line() -> None:
    described = {"class_path": "CSVLogger", "init_args": {"nonsense": 3}}
    with pytest.raises(ConfigError, match=r"trainer\.logger: CSVLogger: TypeError.*nonsense"):
        fit(hazy(1), names(1), method(steps=1), trainer={"logger": described})
