"""Downloads against a server on this machine: real bytes, interrupted, resumed, damaged."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers.file_server import FileServer
from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.hub.download import ATTEMPTS, BLOCK, DownloadError, download

CONTENT = bytes(hashlib.shake_256(b"a checkpoint").digest(BLOCK + 50_000))  # more than one block
SHA = hashlib.sha256(CONTENT).hexdigest()
Serve = Callable[..., FileServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("no_proxy", "*")
    with ExitStack() as stack:
        yield lambda content=CONTENT, **how: stack.enter_context(FileServer(content, **how).running())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT), "sha256": SHA}], ids=["unknown", "known"])
def test_a_file_arrives_whole(serve: Serve, tmp_path: Path, known: dict[str, object]) -> None:
    server = serve()
    target = download(server.url, tmp_path / "deep" / "net.pt", **known)  # type: ignore[arg-type]
    assert target.read_bytes() == CONTENT
    assert files(target.parent) == ["net.pt"]
    assert server.requests == [None]


def test_a_broken_connection_is_continued_where_it_broke(serve: Serve, tmp_path: Path) -> None:
    server = serve(cuts=[300_000, 400_000])
    assert download(server.url, tmp_path / "net.pt", sha256=SHA).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=700000-"]
    assert sum(server.sent) == len(CONTENT), "nothing is sent twice"


def test_a_download_that_was_killed_is_continued(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(CONTENT[:777_777])
    server = serve()
    assert download(server.url, tmp_path / "net.pt", sha256=SHA).read_bytes() == CONTENT
    assert server.requests == ["bytes=777777-"]
    assert files(tmp_path) == ["net.pt"]


def test_without_ranges_it_begins_anew(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(b"x" * 1000)
    server = serve(ranges=False, cuts=[5000])
    assert download(server.url, tmp_path / "net.pt", size=len(CONTENT)).read_bytes() == CONTENT
    assert server.sent == [5000, len(CONTENT)]


def test_a_connection_that_keeps_breaking_is_given_up_and_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(cuts=[10_000] * ATTEMPTS)
    with pytest.raises(DownloadError, match=rf"net.pt cannot be .* after {ATTEMPTS * 10_000:,} of {len(CONTENT):,} b"):
        download(server.url, tmp_path / "net.pt")
    assert files(tmp_path) == ["net.pt.part"]
    assert download(server.url, tmp_path / "net.pt").read_bytes() == CONTENT, "the next call goes on"
    assert server.requests[-1] == f"bytes={ATTEMPTS * 10_000}-"


def test_a_wrong_checksum_is_refused_and_the_file_deleted(serve: Serve, tmp_path: Path) -> None:
    damaged = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    server = serve(damaged)
    with pytest.raises(ConfigError, match=f"{hashlib.sha256(damaged).hexdigest()}, expected {SHA}.*deleted"):
        download(server.url, tmp_path / "net.pt", size=len(CONTENT), sha256=SHA)
    assert files(tmp_path) == []
    server.content = CONTENT
    assert download(server.url, tmp_path / "net.pt", sha256=SHA).read_bytes() == CONTENT
    assert server.requests == [None, None], "anew, not from the damaged part"


def test_another_size_than_the_known_one_is_refused_before_the_download(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with pytest.raises(ConfigError, match=rf"has {len(CONTENT):,} bytes, expected 12,345"):
        download(server.url, tmp_path / "net.pt", size=12_345)
    assert files(tmp_path) == []


def test_a_file_that_changed_meanwhile_is_not_pieced_together(serve: Serve, tmp_path: Path) -> None:
    part = tmp_path / "net.pt.part"
    part.write_bytes(b"x" * 1000)
    os.utime(part, (0, 1_600_000_000))
    server = serve(modified="Tue, 01 Jun 2021 00:00:00 GMT")
    assert download(server.url, tmp_path / "net.pt").read_bytes() == CONTENT
    part.write_bytes(CONTENT[:1000])  # newer than the server's file
    assert download(server.url, tmp_path / "net.pt").read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", None, "bytes=1000-"]


def test_a_part_that_is_all_is_taken_as_it_is_and_a_longer_one_is_not(serve: Serve, tmp_path: Path) -> None:
    part = tmp_path / "net.pt.part"
    part.write_bytes(CONTENT)
    server = serve()
    assert download(server.url, tmp_path / "net.pt").read_bytes() == CONTENT
    assert sum(server.sent) == 0
    for size in (None, len(CONTENT)):
        part.write_bytes(CONTENT + b"x")
        assert download(server.url, tmp_path / "net.pt", size=size).read_bytes() == CONTENT


def test_a_server_that_refuses_or_is_not_there_is_named(serve: Serve, tmp_path: Path) -> None:
    server = serve(status=404)
    with pytest.raises(DownloadError, match=rf"{server.url} cannot be downloaded: 404 Not Found"):
        download(server.url, tmp_path / "net.pt")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        with pytest.raises(DownloadError, match="refused"):
            download(f"http://127.0.0.1:{unused.getsockname()[1]}/net.pt", tmp_path / "net.pt")
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match=r"taken/net.pt cannot be written"):
        download(serve().url, tmp_path / "taken" / "net.pt")
