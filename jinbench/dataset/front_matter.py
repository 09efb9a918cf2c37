"""YAML at the top of dataset/README.md, which `datasets` reads: configs, their files, and a hash of these.

`datasets` keys its cache by the name of the folder, the config and this YAML, which all benchmarks would have in
common: `load_dataset("dataset", "ner")` would hand out the rows of another benchmark, or those of yesterday.
"""

import re
from pathlib import Path

from jinbench.core import files
from jinbench.dataset.features import CONFIGS
from jinbench.dataset.manifest import Manifest
from jinbench.dataset.splits import SPLITS

_CONFIG = re.compile(r"^( *)- config_name: *(\S+) *\n(?:\1  description: .*\n)?", re.MULTILINE)


def stamp_configs(text: str, manifest: Manifest) -> str:
    """Return a card with the hash of its files as `description` of each config of the manifest."""
    start, end = text.find("---\n"), text.find("\n---", 4)
    if start != 0 or end < 0:
        return text

    def stamp(match: re.Match[str]) -> str:
        indent, name = match.groups()
        hashes = sorted(f"{path} {sha}" for path, sha in manifest["files"].items() if path.startswith(f"{name}/"))
        if not hashes:
            return match[0]
        digest = files.sha256("\n".join(hashes).encode())[:16]
        return f'{indent}- config_name: {name}\n{indent}  description: "sha256 {digest}"\n'

    return _CONFIG.sub(stamp, text[:end]) + text[end:]


def make_card(manifest: Manifest) -> str:
    """Return a card with nothing but the configs, for a dataset that has none yet."""
    lines = ["---", "configs:"]
    for config in CONFIGS:
        paths = [f"{config}/{split}.parquet" for split in SPLITS]
        if present := [path for path in paths if path in manifest["files"]]:
            lines += [f"- config_name: {config}", *(["  default: true"] if config == "ner" else []), "  data_files:"]
            lines += [line for path in present for line in (f"  - split: {Path(path).stem}", f"    path: {path}")]
    return stamp_configs("\n".join([*lines, "---", ""]), manifest)


def update_card(folder: Path, manifest: Manifest) -> bool:
    """Bring the configs of README.md in a dataset folder up to date; return whether it changed.

    Where there is none, the card beside the folder is taken, or one with nothing but the configs.
    """
    card, copy = folder.parent / "DATASET_CARD.md", folder / "README.md"
    source = next((path for path in (copy, card) if path.is_file()), None)
    text = stamp_configs(files.read_text(source), manifest) if source else make_card(manifest)
    if copy.is_file() and files.read_text(copy) == text:
        return False
    files.write_text(copy, text)
    return True
