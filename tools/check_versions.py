"""Try jinbench with the lowest versions that pyproject.toml allows and with the newest, on each Python of this machine.

For each it makes an environment without extras, installs the package, and loads, scores, compares, ranks and converts.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREDICTIONS = [str(ROOT / "baselines" / name / "predictions-ner-test.jsonl") for name in ("rules", "tagger")]
LOAD = "import jinbench; print(jinbench.load('ner', 'test')[0]['id'], jinbench.__version__)"
COMMANDS = (["score", PREDICTIONS[0]], ["compare", *PREDICTIONS], ["verify"], ["rank"],
            ["convert", ".", "--from", "jinbench", "--to", "conll", "--out", "out"])  # fmt: skip


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = [name.rpartition(" ")[2] for name in project["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    lowest = [requirement.replace(">=", "==") for requirement in project["dependencies"]]
    current = f"{sys.version_info.major}.{sys.version_info.minor}"
    trials = [(current, "lowest", lowest)]
    for version in claimed:
        if version == current or is_installed(version):
            trials.append((version, "newest", project["dependencies"]))
        else:
            print(f"Python {version}: not on this machine, not tried")
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch) / "wheels"
        pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
        run([sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)])
        for version, kind, requirements in trials:
            environment = Path(scratch) / f"{version}-{kind}"
            run([sys.executable if version == current else f"python{version}", "-m", "venv", str(environment)])
            python = str(environment / "bin" / "python")
            run([python, *pip, "install", *requirements])
            run([python, *pip, "install", "--no-deps", *map(str, wheels.glob("*.whl"))])
            copy = environment / "benchmark"
            for folder in ("annotation", "baselines", "dataset", "leaderboard", "seeds"):
                shutil.copytree(ROOT / folder, copy / folder)
            run([python, "-c", LOAD], copy)
            for command in COMMANDS:
                run([python, "-m", "jinbench", *command], copy)
            print(f"Python {version}, {kind} versions: loads, scores, compares, verifies, ranks, converts")
    return 0


def is_installed(version: str) -> bool:
    """Return whether this Python can be started; a shim of a version manager may be there without it."""
    python = shutil.which(f"python{version}")
    return python is not None and subprocess.run([python, "--version"], capture_output=True).returncode == 0


def run(command: list[str], folder: Path | None = None) -> None:
    """Run a command; end with what it printed if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
