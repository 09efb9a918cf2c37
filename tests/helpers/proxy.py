"""Proxy between a client and a server that breaks chosen exchanges, before or after the server has the request."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

KINDS = {
    "dropped before": "the connection ends before the server has the request",
    "dropped after": "the server has answered, and the connection ends",
    "dropped meanwhile": "the connection ends while the server is at work",
    "cut answer": "the connection ends in the middle of the answer",
    "502 before": "502, and the server never had the request",
    "502 after": "502, and the server has done what was asked",
    "late": "the server has the request half a second later",
}


class Proxy:
    """Proxy to `upstream`. `plan` returns for the n-th request (from 1) one of KINDS, or None.

    `before` and `after` are called with n around the forwarding. Health checks are forwarded and not counted.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.lock = threading.Lock()
        self.reset()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(OSError):
                    super().handle_one_request()

            def answer(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(
        self,
        plan: Callable[[int], str | None] = lambda n: None,
        before: Callable[[int], None] = lambda n: None,
        after: Callable[[int], None] = lambda n: None,
    ) -> None:
        """Restart the count, with these faults."""
        with self.lock:
            self.number, self.broken = 0, 0
            self.plan, self.before, self.after = plan, before, after

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        fault, before, after, number = None, self.before, self.after, 0
        if request.path != "/health":
            with self.lock:
                self.number += 1
                number = self.number
                fault = self.plan(number)
                self.broken += fault is not None
        if fault == "dropped before":
            return self.drop(request)
        if fault == "502 before":
            return self.send(request, 502, b"bad gateway", [])
        if fault == "dropped meanwhile":
            threading.Thread(target=self.forward, args=(request, body), daemon=True).start()
            time.sleep(0.02)
            return self.drop(request)
        if fault == "late":
            time.sleep(0.5)
        if number:
            before(number)
        answer = self.forward(request, body)
        if number:
            after(number)
        if answer is None or fault == "dropped after":
            return self.drop(request)
        if fault == "502 after":
            return self.send(request, 502, b"bad gateway", [])
        if fault == "cut answer":
            return self.send(request, *answer, cut=True)
        return self.send(request, *answer)

    def forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, list[tuple[str, str]]] | None:
        """Return status, content and headers of the server's answer; None if there is no server."""
        upstream = http.client.HTTPConnection(str(self.upstream.hostname), self.upstream.port, timeout=120)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "connection")}
        try:
            upstream.request(request.command, request.path, body or None, {**headers, "Connection": "close"})
            answer = upstream.getresponse()
            return answer.status, answer.read(), answer.getheaders()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            upstream.close()

    @staticmethod
    def send(
        request: BaseHTTPRequestHandler, status: int, content: bytes, headers: list[tuple[str, str]], cut: bool = False
    ) -> None:
        request.send_response_only(status)
        for key, value in headers:
            if key.lower() in ("content-type", "location"):
                request.send_header(key, value)
        request.send_header("Content-Length", str(len(content)))
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if cut else content)
        request.close_connection = True
        if cut:
            request.wfile.flush()
            Proxy.drop(request)

    @staticmethod
    def drop(request: BaseHTTPRequestHandler) -> None:
        """Reset the connection."""
        request.close_connection = True
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
