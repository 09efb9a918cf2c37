"""A stand-in for a Hugging Face Hub on loopback, for the unmodified clients: their HTTP API, a log, and faults.

It holds dataset repositories in memory: blobs by their sha256, commits with ids of their own, tags that point to
commits. Parquet and images go by Git LFS and come by a redirect to another host name, as from the real Hub's store;
everything else goes inside the commit. It is also the proxy of its clients, so that requests to any other machine end
here, with 404, and in the log.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.helpers.hub_api import Handler
from tests.helpers.hub_store import OWNER_TOKEN, READER_TOKEN, Store


class Hub(Store):
    """The server with its repositories and blobs. Use :func:`run_hub`."""

    def __init__(self) -> None:
        super().__init__()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.release_upload.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def environment(self, home: Path, token: str | None = OWNER_TOKEN) -> dict[str, str]:
        """Return variables for a client: this Hub, a home of its own, this server as the proxy to any other machine."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "HF_HOME": str(home / "huggingface"),
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HTTP_PROXY": self.url,
            "HTTPS_PROXY": self.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "COLUMNS": "120",
        } | ({"HF_TOKEN": token} if token is not None else {})


@contextmanager
def run_hub() -> Iterator[Hub]:
    """Run a Hub until the end of the block."""
    hub = Hub()
    try:
        yield hub
    finally:
        hub.stop()


def set_up_hub(hub: Hub, state: str, folder: Path) -> str:
    """Put the Hub into the state that a case of `tests/bad/` names; return the token to use."""
    if state in ("has it", "has others", "alters what it has"):
        oid = hub.publish_folder("owner/mini", folder, "v1.0.0")
        if state == "has others":
            hub.repos["owner/mini"].commits[oid].files["stats.json"] = hub.store_blob(b"{}")
        if state == "alters what it has":
            hub.faults.altered = "ner/test.parquet"
    elif state == "is out of order":
        hub.faults.status = 501
    else:
        assert state in ("is empty", "refuses")
    return READER_TOKEN if state == "refuses" else OWNER_TOKEN
