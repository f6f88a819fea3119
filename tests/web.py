"""A web server on this machine that does what the servers of datasets do, and what goes wrong with them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

CONTENT = bytes(range(256)) * 12_000
"""3 MB: more than one piece of a download."""


class Server(ThreadingHTTPServer):
    """Serves ``CONTENT`` at /file; ``cut_after`` bytes of one answer it hangs up, as often as ``cuts`` says."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = []
        self.cuts, self.cut_after, self.ranges = 0, 1_500_000, True
        self.content = CONTENT

    def url(self, path="/file"):
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        if self.path == "/moved":
            return self._send(302, b"", {"Location": "/file"})
        if self.path == "/login":
            return self._send(302, b"", {"Location": "/page"})
        if self.path == "/page":
            return self._send(200, b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"})
        if self.path != "/file":
            return self._send(404, b"no such file", {})
        return self._send_file()

    def _send_file(self):
        content, status, extra = self.server.content, 200, {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and self.server.ranges:
            start = int(asked[1])
            if start >= len(content):
                return self._send(416, b"", {})
            extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            content, status = content[start:], 206
        self._head(status, len(content), {"Content-Type": "application/zip", **extra})
        if self.server.cuts:
            self.server.cuts -= 1
            content, self.close_connection = content[: self.server.cut_after], True
        self.wfile.write(content)

    def _send(self, status, body, headers):
        self._head(status, len(body), headers)
        self.wfile.write(body)

    def _head(self, status, length, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving():
    """Yield a running server."""
    server = Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
