"""Downloads one file from a URL: it resumes, verifies, and never leaves an incomplete file under the final name."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from zeroair_pl.console import bar
from zeroair_pl.errors import ConfigError
from zeroair_pl.paths import sha256_of

BLOCK = 1 << 20  # bytes that are read at once
ATTEMPTS = 5  # broken connections before a download fails
TIMEOUT = 60.0  # seconds of silence that end a connection


class DownloadError(ConfigError):
    """A download failed because of the network or the server. The part that arrived stays for the next attempt."""


def download(url: str, target: Path, *, size: int | None = None, sha256: str | None = None) -> Path:
    """Downloads ``url`` to ``target``. The partial file is ``target`` + ``.part``, which a later call continues.

    After a broken connection, the download continues at once, with HTTP ranges if the server supports them, else from
    the beginning.

    Args:
        target: path of the file; an existing file is replaced.
        size, sha256: the expected length in bytes and checksum, if they are known.

    Raises:
        DownloadError: the server cannot be reached, refuses, or stops before the end.
        ConfigError: the file does not match ``size`` or ``sha256`` and is deleted, or it cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with bar(f"downloading {target.name}", size, "bytes") as show:
            _receive(url, part, size, show)
        _verify(part, url, size, sha256)
        os.replace(part, target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def _receive(url: str, part: Path, size: int | None, show: Callable[..., None]) -> None:
    """Completes ``part``, in at most ``ATTEMPTS`` connections."""
    reason = ""
    for _ in range(ATTEMPTS):
        before = _length(part)
        if size is not None and before >= size:
            if before == size:
                return
            part.unlink()
        try:
            total = _attempt(url, part, size, show)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise DownloadError(f"{url} cannot be downloaded: {error.code} {error.reason}") from error
            if error.headers.get("Content-Range", "").strip() == f"bytes */{before}":
                return  # the file was complete already
            part.unlink(missing_ok=True)
            reason = "the server's file has changed"
        except urllib.error.URLError as error:
            raise DownloadError(f"{url} cannot be downloaded: {error.reason}") from error
        except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            reason = str(error) or type(error).__name__
        else:
            if total is None or _length(part) == total:
                return
            reason = f"the connection ended after {_length(part):,} of {total:,} bytes"
    raise DownloadError(f"{url} cannot be downloaded: {reason}")


def _attempt(url: str, part: Path, size: int | None, show: Callable[..., None]) -> int | None:
    """One connection: appends to ``part``; returns the length of the whole file, or ``None`` if it is unknown."""
    begin = _length(part)
    with _open(url, begin) as answer:
        begin, total = _whole(answer, begin, part)
        if None not in (size, total) and size != total:
            raise ConfigError(f"{url} has {total:,} bytes, expected {size:,}; it is not the file that is known")
        with part.open("ab" if begin else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                begin += len(block)
                show(begin, total)
            file.flush()
            os.fsync(file.fileno())
    return total


def _open(url: str, begin: int) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "zeroair-pl", "Accept-Encoding": "identity"})
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def _whole(answer: Any, begin: int, part: Path) -> tuple[int, int | None]:
    """Position in the file at which the answer begins (0 to start again), and the length of the whole file."""
    stated = answer.headers.get("Content-Length")
    length = int(stated) if stated and stated.isdigit() else None
    if answer.status != 206:
        return 0, length
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if found is None or int(found[1]) != begin or _changed_since(answer, part):
        part.unlink()
        raise ConnectionError("the server's file has changed, or it answers with another part than was asked for")
    return begin, int(found[2]) if found[2] != "*" else None if length is None else begin + length


def _changed_since(answer: Any, part: Path) -> bool:
    """Whether the server's file is newer than the partial one, which then cannot be continued."""
    try:
        changed = parsedate_to_datetime(answer.headers["Last-Modified"])
    except (TypeError, ValueError):
        return False  # the server does not state a date
    return changed.replace(tzinfo=changed.tzinfo or UTC).timestamp() > part.stat().st_mtime


def _verify(part: Path, url: str, size: int | None, sha256: str | None) -> None:
    found = _length(part)
    if size is not None and found != size:
        part.unlink()
        raise ConfigError(f"{url} gave {found:,} bytes, expected {size:,}; they are deleted")
    if sha256 is None:
        return
    if (digest := sha256_of(part)) != sha256:
        part.unlink()
        raise ConfigError(
            f"{url} has sha256 {digest}, expected {sha256}. What was downloaded is damaged or another "
            "file, and is deleted; the same command downloads it again"
        )


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
