"""Install Label Studio into an environment of its own, from the lock file beside this module."""

import itertools
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jinbench.annotation.exports import VERSION
from jinbench.core import files, folders
from jinbench.core.environment import without_secrets
from jinbench.core.errors import ServerError
from jinbench.core.types import Step

LOCK = Path(__file__).with_name("labelstudio.lock")
PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement")
DOWNLOAD, DISK = 280, 1000  # MB, measured for the locked versions on x86-64 Linux
Say = Callable[[str], None]


def ensure_installed(say: Say = print, step: Step = lambda name, done, total: None) -> Path:
    """Return the Python of Label Studio's environment; make that on first use.

    `step` is called with the number of packages that are downloaded, and of all. Raises :class:`ServerError`.
    """
    from filelock import FileLock

    wanted = f"{files.sha256(LOCK.read_bytes())} {sys.version_info.major}.{sys.version_info.minor}"
    cache = Path.home() / ".cache" / "jinbench" / f"label-studio-{VERSION}"
    folder = Path(os.environ.get("JINBENCH_LABELSTUDIO_ENV") or cache)
    python, stamp = folder / "bin" / "python", folder / "made-from"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return python
        total = sum(line[:1].isalnum() for line in LOCK.read_text().splitlines())
        say(
            f"Installing Label Studio {VERSION} into {folder}: {total} packages, a download of about {DOWNLOAD} MB, "
            f"{DISK / 1000:g} GB on the disk; once."
        )
        is_ours = stamp.is_file()
        with folders.temporary_folder(folder) as temporary:
            files.write_text(temporary / "new" / stamp.name, "unfinished")
            fix = "delete it, or name another folder in JINBENCH_LABELSTUDIO_ENV"
            folders.place_folder(temporary / "new", folder, fix, lambda _: is_ours)
        for _ in _run([sys.executable, "-m", "venv", str(folder)], folder):
            pass
        count = itertools.count(1)
        for line in _run([str(python), *PIP, str(LOCK)], folder):
            if line.startswith("Collecting "):
                step("Label Studio: packages", min(next(count), total - 1), total)
        step("Label Studio: packages", total, total)
        files.write_text(stamp, wanted)
    return python


def _run(command: Sequence[str], folder: Path) -> Iterator[str]:
    """Yield the lines that a command prints. Raises :class:`ServerError` with the last of them if it fails."""
    last: deque[str] = deque(maxlen=8)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=without_secrets(),
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            last.append(line.rstrip())
            yield line
    if process.returncode:
        raise ServerError(
            f"Label Studio could not be installed into {folder}:\n" + "\n".join(last)
            + "\nCheck the network and the disk, then run the same command again."
        )  # fmt: skip
