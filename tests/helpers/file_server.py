"""A web server in a thread of the test, with the weaknesses that downloads meet: no ranges, broken connections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class FileServer:
    """Serves ``content`` at every path.

    Attributes:
        ranges: whether it answers requests for a part of the file.
        cuts: connection by connection, after how many bytes it breaks; whole after the last.
        modified: what it states as the time of the last change.
        status: what it answers instead of the file.
        requests: the range that each request asked for, ``None`` where it asked for all.
        sent: bytes of each answer.
    """

    content: bytes
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    modified: str | None = None
    status: int = 200
    requests: list[str | None] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[FileServer]:
        state = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                state.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/files/net.pt"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append(wanted)
        if self.status != 200:
            request.send_error(self.status)
            return
        begin = int(found[1]) if self.ranges and wanted and (found := re.fullmatch(r"bytes=(\d+)-", wanted)) else 0
        size = len(self.content)
        if begin >= size > 0:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{size}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        if self.modified:
            request.send_header("Last-Modified", self.modified)
        request.send_header("Content-Length", str(size - begin))
        request.end_headers()
        part = self.content[begin:]
        if self.cuts:
            part = part[: self.cuts.pop(0)]
        self.sent.append(len(part))  # before whoever gets it may look
        request.wfile.write(part)
