"""Install Label Studio into an environment of its own, from the lock file beside this module."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from jinbench.annotation.exports import VERSION
from jinbench.core import files
from jinbench.core.environment import without_secrets
from jinbench.core.errors import ServerError

LOCK = Path(__file__).with_name("labelstudio.lock")
_PIP_OPTIONS = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement"]
Say = Callable[[str], None]


def ensure_installed(say: Say = print) -> Path:
    """Return the Python of Label Studio's environment; make that on first use (about 1 GB, a minute or two)."""
    from filelock import FileLock

    wanted = f"{files.sha256(LOCK.read_bytes())} {sys.version_info.major}.{sys.version_info.minor}"
    cache = Path.home() / ".cache" / "jinbench" / f"label-studio-{VERSION}"
    folder = Path(os.environ.get("JINBENCH_LABELSTUDIO_ENV") or cache)
    python, stamp = folder / "bin" / "python", folder / "made-from"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return python
        say(f"Installing Label Studio {VERSION} into {folder} (once, a minute or two)…")
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", *_PIP_OPTIONS, str(LOCK)],
        ):
            done = subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=without_secrets()
            )
            if done.returncode:
                tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
                raise ServerError(
                    f"Label Studio could not be installed into {folder}:\n{tail}\n"
                    "Check the network and the disk, then run the same command again."
                )
        files.write_text(stamp, wanted)
    return python
