"""Serves the page, and removes its files at the end."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroair_pl.errors import ConfigError
from zeroair_pl.resources import importing

if TYPE_CHECKING:
    from zeroair_pl.app.page import Page

FIRST, LAST = 7860, 7959  # ports that are tried, Gradio's usual ones
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Served:
    """A page that is being served.

    Attributes:
        url: its address.
        page: the page.
        folder: temporary files of all users.
    """

    url: str
    page: Page
    folder: Path


@contextmanager
def serving(
    host: str = LOCAL,
    port: int | None = None,
    layers: tuple[str, ...] = (),
    settings: Mapping[str, Any] | None = None,
    megapixels: float = 50,
) -> Iterator[Served]:
    """Serves the page within the block.

    Args:
        host: the address to listen at; by default only this machine can reach it.
        port: ``None`` for the first free one from 7860.
        layers: configs on top of each kind's.
        settings: as for ``Method.from_config``, on top of these.
        megapixels: the most that a photo may have.

    Raises:
        ConfigError: the address or the port cannot be used, or a config is wrong.
    """
    _check_host(host)
    folder = Path(tempfile.mkdtemp(prefix="zeroair-"))  # for this user alone: mode 700
    before = {name: os.environ.get(name) for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED")}
    os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"}
    try:
        with importing():
            from zeroair_pl.app.look import LOOK
            from zeroair_pl.app.page import Page
            from zeroair_pl.app.studio import Studio

        studio = Studio(layers, settings, megapixels)
        studio.warm()
        page = Page(studio, folder)
        try:
            _, url, _ = page.blocks.queue(default_concurrency_limit=8).launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                show_error=True,
                ssr_mode=False,
                enable_monitoring=False,
                footer_links=[],
                max_file_size="1gb",
                **LOOK,
            )
            yield Served(url, page, folder)
        except OSError as error:
            raise ConfigError(f"--port {port or f'{FIRST} to {LAST}'}: cannot be used at {host} ({error}).") from error
        finally:
            studio.close()
            page.close()
            page.blocks.close(verbose=False)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def _check_host(host: str) -> None:
    """Raises ConfigError for an address that this machine does not have; the server would try each port, and log it."""
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise ConfigError(
            f"--host {host}: cannot be used ({error.strerror or error}); expected an address of this machine, "
            f"such as {LOCAL}."
        ) from error


def forever() -> None:
    """Waits until Ctrl-C or a signal ends the process."""
    while not threading.Event().wait(3600):
        pass
