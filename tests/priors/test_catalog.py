"""The catalog of known priors, and the way from an entry to a folder that ``--prior.path`` takes."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from helpers.adm_reference import Reference
from helpers.file_server import FileServer
from helpers.networks import unet
from zeroair_pl.errors import ConfigError
from zeroair_pl.priors import UNetPrior, bundled_priors
from zeroair_pl.priors.hub import fetching
from zeroair_pl.priors.hub.adm import convert_adm
from zeroair_pl.priors.hub.catalog import CATALOG, UNUSABLE, Entry, fetched_names, find, home
from zeroair_pl.priors.hub.download import DownloadError
from zeroair_pl.priors.hub.fetching import fetch

convert_tiny = partial(convert_adm, num_head_channels=16, image_size=32)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZEROAIR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "convert_adm", convert_tiny)
    return tmp_path / "home" / "priors"


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)
def test_an_entry_says_what_a_user_needs(entry: Entry) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", entry.name)
    assert entry.about
    assert entry.license
    if entry.kind == "bundled":
        assert entry.name in bundled_priors()
        return
    assert entry.parameters
    assert entry.bytes
    assert entry.resolution in (32, 64, 256)
    if entry.kind == "adm":
        assert re.fullmatch(r"https://openaipublic\.blob\.core\.windows\.net/diffusion/jul-2021/\w+\.pt", entry.source)
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        weights = 4 * entry.parameters  # float32
        assert entry.size is None or weights < entry.size < weights * 1.001
        assert find(entry.file) is find(entry.file.removesuffix(".pt")) is entry
    else:
        assert re.fullmatch(r"[\w-]+/[\w-]+", entry.source)
        assert find(entry.source) is entry


def test_every_bundled_prior_is_in_the_catalog() -> None:
    assert [name for name in bundled_priors() if CATALOG.get(name, CATALOG["ddpm-cat-256"]).kind != "bundled"] == []


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError, match=r"'adm-256x256-uncnd'.* Did you mean 'adm-256x256-uncond'\? Known: small, "):
        find("adm-256x256-uncnd")
    with pytest.raises(ConfigError, match=r"Did you mean '256x256_diffusion_uncond'\?"):
        find("256x256_difusion_uncond")
    for name, reason in UNUSABLE.items():
        with pytest.raises(ConfigError, match=f"{name}.pt cannot be used: {reason}"):
            find(f"{name}.pt")


# ---- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> bytes:
    torch.save(Reference().seeded().weights, tmp_path / "source.pt")
    return (tmp_path / "source.pt").read_bytes()


@pytest.fixture
def server(checkpoint: bytes) -> Iterator[FileServer]:
    with FileServer(checkpoint).running() as server:
        yield server


def entry_for(server: FileServer, **facts: Any) -> Entry:
    return Entry("adm-toy", "adm", "toys", "none", 32, 1, server.url, **facts)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_becomes_a_prior_that_is_found_by_name(
    server: FileServer, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checksum = hashlib.sha256(server.content).hexdigest()
    entry = entry_for(server, size=len(server.content), sha256=checksum)
    folder = fetch(entry)
    assert folder == home() / "adm-toy" == own_home / "adm-toy"
    assert names(own_home) == ["adm-toy"], "the checkpoint is not needed any more"
    assert json.loads((folder / "prior.json").read_text())["source"] == {"file": "net.pt", "sha256": checksum}
    assert "--prior.path adm-toy" in capsys.readouterr().out
    assert fetched_names() == ["adm-toy"]
    prior = UNetPrior("adm-toy", precision="float32")
    assert prior.predict(torch.zeros(1, 3, 16, 16), torch.zeros(1)).x0.shape == (1, 3, 16, 16)
    assert fetch(entry) == folder
    assert "is here already" in capsys.readouterr().out
    assert server.requests == [None], "fetched once"


def test_checkpoints_are_kept_when_asked_for_and_when_they_were_there(server: FileServer, tmp_path: Path) -> None:
    entry = entry_for(server)
    fetch(entry, tmp_path / "a" / "prior", keep=True)
    assert (tmp_path / "a" / "net.pt").read_bytes() == server.content
    shutil.rmtree(tmp_path / "a" / "prior")
    fetch(entry, tmp_path / "a" / "prior")
    assert names(tmp_path / "a") == ["net.pt", "prior"]
    assert server.requests == [None], "what is there is not downloaded again"


def test_a_conversion_that_fails_leaves_the_download_for_the_next_call(
    server: FileServer, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entry_for(server)
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "convert_adm", convert_adm)
        with pytest.raises(ConfigError, match="do not tell --num_head_channels"):
            fetch(entry)
    assert names(own_home) == ["net.pt"]
    fetch(entry)
    assert server.requests == [None]


def test_what_is_no_checkpoint_is_not_kept(server: FileServer, own_home: Path) -> None:
    server.content = b"<html>You are not logged in to this network</html>"
    with pytest.raises(DownloadError, match=r"gave no checkpoint, and it is deleted: .*On a machine with a network"):
        fetch(entry_for(server))
    assert names(own_home) == []


def test_a_class_conditional_network_needs_a_class(tmp_path: Path, own_home: Path) -> None:
    torch.save(Reference(classes=5).seeded().weights, tmp_path / "source.pt")
    with FileServer((tmp_path / "source.pt").read_bytes()).running() as server:
        entry = entry_for(server, classes=5)
        with pytest.raises(ConfigError, match=r"class-conditional.* 5 classes with --class_label 0 to 4"):
            fetch(entry)
        with pytest.raises(ConfigError, match="--class_label is 5, expected 0 to 4"):
            fetch(entry, class_label=5)
        with pytest.raises(ConfigError, match="expected none: adm-toy is not class-conditional"):
            fetch(replace(entry, classes=None), class_label=5)
        assert server.requests == [], "refused before the download"
        fetch(entry, class_label=3)
    assert names(own_home) == ["adm-toy-class3"]
    assert UNetPrior("adm-toy-class3").num_timesteps == 1000


def test_a_folder_that_is_something_else_is_left_alone(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ConfigError, match="mine exists and is not a prior"):
        fetch(entry_for(server), tmp_path / "mine")
    assert server.requests == []
    assert names(tmp_path / "mine") == ["notes.txt"]


def test_without_a_network_it_says_which_file_to_put_where(server: FileServer, own_home: Path) -> None:
    server.status = 503
    with pytest.raises(DownloadError) as raised:
        fetch(entry_for(server, classes=5), class_label=3)
    path = own_home / "net.pt"
    assert f"get {server.url}, put it at {path}" in str(raised.value)
    command = f"zeroair prior convert {path} {own_home / 'adm-toy-class3'} --class_label 3"
    assert str(raised.value).endswith(command)


# ---- pipelines -------------------------------------------------------------------------------------------------------

HUB = Entry("ddpm-toy", "hub", "toys", "none", 16, 1, "someone/ddpm-toy")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A pipeline as the public ones of 2022 are: everything at the top, attention under its old names."""
    folder = tmp_path / "repository"
    unet(16, attention=True, attention_head_dim=None).save_pretrained(folder)
    DDPMScheduler().save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: none\n---\n# A toy\n")
    (folder / "sample.png").write_bytes(b"not wanted")
    return folder


@pytest.fixture
def hub(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``huggingface_hub.snapshot_download`` from a folder."""

    def snapshot(repo_id: str, *, local_dir: Path, allow_patterns: list[str]) -> str:
        assert repo_id == HUB.source
        for file in repository.iterdir():
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in allow_patterns):
                local_dir.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, local_dir)
        (local_dir / ".cache" / "huggingface").mkdir(parents=True, exist_ok=True)
        return str(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)


def old_names(repository: Path) -> None:
    """Pickles the weights in the place of safetensors, as they were stored before 2023."""
    from safetensors.torch import load_file

    path = repository / "diffusion_pytorch_model.safetensors"
    renamed = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = {}
    for key, tensor in load_file(path).items():
        for new, old in renamed.items():
            key = key.replace(f".{new}.", f".{old}.")
        weights[key] = tensor
    torch.save(weights, path.with_suffix(".bin"))
    path.unlink()


@pytest.mark.parametrize("pickled", [False, True])
def test_a_pipeline_becomes_a_prior_with_its_own_schedule(
    repository: Path, own_home: Path, pickled: bool, hub: None
) -> None:
    reference = UNetPrior(str(repository), precision="float32")
    if pickled:
        old_names(repository)
    folder = fetch(HUB)
    assert names(own_home) == ["ddpm-toy"]
    wanted = ["README.md", "config.json", "diffusion_pytorch_model.safetensors", "scheduler_config.json"]
    assert names(folder) == wanted
    prior = UNetPrior("ddpm-toy", precision="float32")
    x, t = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([400.0])
    assert torch.equal(prior.predict(x, t).x0, reference.predict(x, t).x0)


def test_a_pipeline_that_is_not_complete_is_no_prior(repository: Path, own_home: Path, hub: None) -> None:
    weights = repository / "diffusion_pytorch_model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    with pytest.raises(DownloadError, match=r"completely; what came is README.md, config.json, scheduler_config.json"):
        fetch(HUB)
    assert fetched_names() == []
    weights.write_bytes(kept)
    fetch(HUB)
    assert names(own_home) == ["ddpm-toy"], "with nothing left of the first call"


def test_a_pipeline_without_a_network_is_described(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **options: object) -> str:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(DownloadError) as raised:
        fetch(HUB)
    assert "someone/ddpm-toy cannot be downloaded: no route to host. On a machine" in str(raised.value)
    assert "https://huggingface.co/someone/ddpm-toy/tree/main" in str(raised.value)
    assert str(own_home / "ddpm-toy") in str(raised.value)
    assert not own_home.exists()
