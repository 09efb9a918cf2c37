"""A PostgreSQL server for the tests, with its own folder, port and password."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
PROGRAMS = ("initdb", "postgres", "psql")


@dataclass(frozen=True)
class Postgres:
    port: int
    password: str
    programs: Path

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables by which Label Studio finds a database."""
        return {
            "DJANGO_DB": "default",
            "POSTGRE_HOST": "127.0.0.1",
            "POSTGRE_PORT": str(self.port),
            "POSTGRE_NAME": database,
            "POSTGRE_USER": "postgres",
            "POSTGRE_PASSWORD": self.password,
        }

    def ask(self, query: str, database: str = "postgres") -> str:
        """Return the answer to a query, as plain text."""
        done = subprocess.run(
            [self.programs / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database,
             "--no-psqlrc", "--tuples-only", "--no-align", "-c", query],
            capture_output=True, text=True, check=True, env={"PGPASSWORD": self.password, "PATH": os.environ["PATH"]},
        )  # fmt: skip
        return done.stdout.strip()


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL that is installed."""
    folders = [path for pattern in FOLDERS for path in Path("/").glob(pattern[1:])]
    on_path = shutil.which("postgres")
    whole = [
        path
        for path in [*folders, *([Path(on_path).parent] if on_path else [])]
        if all((path / n).exists() for n in PROGRAMS)
    ]
    return max(
        whole, default=None, key=lambda path: [int(part) for part in path.parent.name.split("-") if part.isdecimal()]
    )


def run_as_postgres(command: list[str]) -> list[str]:
    """Return `command` for the user postgres if this is root, as whom PostgreSQL does not run."""
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        if os.geteuid() == 0
        else command
    )


@contextlib.contextmanager
def run_server(folder: Path, programs: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL in `folder`, on loopback and with a password, without fsync."""
    password = os.urandom(12).hex()
    secret, data = folder / "password", folder / "data"
    secret.write_text(password)
    if os.geteuid() == 0:
        for path in (folder, secret):
            shutil.chown(path, "postgres", "postgres")
    quiet = {"stdin": subprocess.DEVNULL, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, "cwd": folder}
    subprocess.run(
        run_as_postgres([str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=scram-sha-256",
                         "--no-sync", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8"]),
        check=True, capture_output=True, **quiet,
    )  # fmt: skip
    secret.unlink()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
                "full_page_writes": "off", "synchronous_commit": "off"}  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            run_as_postgres([str(programs / "postgres"), "-D", str(data), *options]), stdout=log, stderr=log, **quiet
        )
    server = Postgres(port, password, programs)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(subprocess.CalledProcessError):
                server.ask("SELECT 1")
                break
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()  # a smart shutdown waits for clients, which may have been killed
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server. Skips if none is installed; in CI that is a failure."""
    programs = find_programs()
    if programs is None or (os.geteuid() == 0 and not shutil.which("setpriv")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs PostgreSQL; type: make postgres")
    # pytest's own folders are closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="jinbench-postgres-"))
    try:
        with run_server(folder, programs) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
