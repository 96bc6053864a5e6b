"""A server of archives on this machine, and pointers that lead to it."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT

NAME = "CIFAR10DVS.zip"
ARCHIVE = f"data/raw/{NAME}"
CONTENT = bytes(range(256)) * 2000
RIGHT = hashlib.md5(CONTENT).hexdigest()


class Server:
    """Serves CONTENT, or what a test makes of it, at any path that has no content of its own."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.contents: dict[str, bytes] = {}  # by path
        self.sent: int | None = None  # bytes of it that arrive; None: all
        self.hang = threading.Event()  # set: no more waiting behind the bytes sent
        self.hang.set()
        self.answer = threading.Event()  # set: no waiting before the first byte
        self.answer.set()
        self.status = 200
        self.location = ""  # where everything else than this path is redirected to
        self.refuses_head = False
        self.says_length = True
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def start(self, status: int) -> bytes:
                """Send all that comes before the content -> the content."""
                server.answer.wait()
                content = server.contents.get(self.path, server.content)
                if server.location not in ("", self.path):
                    status, content = 302, b""
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", server.location)
                if server.says_length:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                return content

            def do_HEAD(self) -> None:
                self.start(403 if server.refuses_head else server.status)

            def do_GET(self) -> None:
                server.asked.append(self.path)
                content = self.start(server.status)
                self.wfile.write(content[: server.sent])
                self.wfile.flush()
                server.hang.wait()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/archive"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@contextmanager
def serving() -> Iterator[Server]:
    """A server that no proxy stands before."""
    server = Server()
    with pytest.MonkeyPatch.context() as environment:
        for proxy in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            environment.delenv(proxy, raising=False)
        yield server
    server.hang.set()
    server.answer.set()
    server.http.shutdown()
    server.http.server_close()


def pin(project: Path, name: str, url: str, md5: str = RIGHT) -> None:
    """The committed pointer with another source, if it has one, and md5."""
    pointer = project / f"data/raw/{name}.dvc"
    text = (ROOT / f"data/raw/{name}.dvc").read_text()
    content = yaml.safe_load(text)
    for source in content.get("deps", []):
        text = text.replace(source["path"], url)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.write_text(text.replace(content["outs"][0]["md5"], md5))
