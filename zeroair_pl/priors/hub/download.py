"""One file from a URL: resumed where it was interrupted, verified, and there whole or not at all."""

from __future__ import annotations

import hashlib
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

BLOCK = 1 << 20  # bytes that are read at once
ATTEMPTS = 5  # connections that may break before a download is given up
TIMEOUT = 60.0  # seconds of silence that end a connection


class DownloadError(ConfigError):
    """The network or the server is why a file is not here. What did arrive stays, and is used by the next try."""


def download(url: str, target: Path, *, size: int | None = None, sha256: str | None = None) -> Path:
    """Downloads ``url`` to ``target``, by way of ``target`` + ``.part``, which a later call continues.

    A broken connection is continued at once, with HTTP ranges where the server has them, else from the beginning.

    Args:
        url: of the file.
        target: where it goes; replaced if it is there.
        size: the length in bytes that it must have. Without it the length that the server states must have arrived.
        sha256: the checksum that it must have.

    Returns:
        ``target``.

    Raises:
        DownloadError: the server cannot be reached, refuses, or stops before the end.
        ConfigError: what arrived is not the file expected, and is deleted; or it cannot be written.
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
    """Makes ``part`` complete, in a few attempts."""
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
                return  # all of it was here already
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
    """One connection: appends what arrives to ``part``, and returns the length of the whole, as far as it is known."""
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
    """Where the answer begins in the file (0: anew), and how long the whole file is."""
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
    """Whether the server's file is newer than what is here of it, so that the two would not fit together."""
    try:
        changed = parsedate_to_datetime(answer.headers["Last-Modified"])
    except (TypeError, ValueError):
        return False  # it does not say
    return changed.replace(tzinfo=changed.tzinfo or UTC).timestamp() > part.stat().st_mtime


def _verify(part: Path, url: str, size: int | None, sha256: str | None) -> None:
    found = _length(part)
    if size is not None and found != size:
        part.unlink()
        raise ConfigError(f"{url} gave {found:,} bytes, expected {size:,}; they are deleted")
    if sha256 is None:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        part.unlink()
        raise ConfigError(
            f"{url} has sha256 {digest}, expected {sha256}. What was downloaded is damaged or another "
            "file, and is deleted; the same command downloads it again"
        )


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
