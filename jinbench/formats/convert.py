"""From one format of corpora to another: what was read, what was left out, and what got lost, all of it told."""

import itertools
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from jinbench.core import files
from jinbench.core.errors import DataError, Problem
from jinbench.dataset.splits import SPLITS
from jinbench.formats import registry
from jinbench.formats.base import LOSSES, ConversionLog, Document, names_of, storable
from jinbench.formats.registry import Format

NAMES = {"train": "train", "validation": "validation", "dev": "validation", "valid": "validation",
         "val": "validation", "test": "test"}  # fmt: skip
SHOWN = 3  # problems of a kind that are printed


class Source(NamedTuple):
    """A file or folder to read, and the split that it is, if that was said."""

    path: Path
    split: str | None = None


@dataclass(frozen=True)
class Report:
    """What a conversion came to. `losses`: by code, how often and the first places; `counts`: problems by code.

    `texts` and `spans` are those that were read; `files` what was written, `problems` what was left out.
    """

    read: str
    wrote: str
    out: str
    texts: int
    spans: int
    files: tuple[str, ...]
    losses: dict[str, dict[str, Any]]
    counts: dict[str, int]
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.read} → {self.wrote}: {self.texts:,} texts with {self.spans:,} spans, in {self.out}"]
        for code, loss in self.losses.items():
            lines.append(f"lost, {code}: {loss['count']:,}: {loss['what']}")
            lines += [f"  {each['place']}: {each['what']}" for each in loss["examples"]]
        for code, count in self.counts.items():
            lines.append(f"left out, {code}: {count:,}")
            mine = [problem for problem in self.problems if problem.code == code][:SHOWN]
            lines += [f"  {each.location}: expected {each.expected}, found {each.found}; {each.fix}" for each in mine]
        lines += self.remarks
        if not self.losses and not self.counts:
            lines.append("Nothing was lost.")
        return "\n".join(lines)


def source(said: str) -> Source:
    """PATH, or SPLIT=PATH. What exists under the whole name is a path."""
    split, _, path = said.partition("=")
    if path and split in NAMES and not Path(said).exists():
        return Source(Path(path), NAMES[split])
    return Source(Path(said))


def convert_corpus(
    sources: Sequence[Source], to: str, out: Path, origin: str | None = None, strict: bool = False,
    options: Mapping[str, Any] | None = None, writing: Mapping[str, Any] | None = None,
) -> Report:  # fmt: skip
    """Read the `sources` and write them to `out`: a file, or a folder with one for each split that is said.

    `origin` is the format of the sources; without it, what they look like. `options` are those of the reader: scheme,
    repair, join (conll), group, offsets (JSON), passages (jinbench); `writing` those of the writer: scheme (conll),
    title, command, source, seed (jinbench). Nothing is there before all is.
    Raises :class:`DataError`: format-unknown, file-missing, folder-taken, wrong-tags, wrong-scheme, not-utf8,
    conversion-loses if `strict` and anything was lost, and whatever is wrong if nothing could be read.
    """
    target = registry.get_format(to, "--to")
    chosen = {name: value for name, value in (options or {}).items() if value not in (None, False)}
    found = [_format(each.path, origin, chosen) for each in sources]
    splits = [each.split for each in sources]
    if len(set(map(bool, splits))) > 1:
        hint = "name all with their split, or none: train=FILE test=FILE"
        raise DataError(
            Problem("split-mismatch", location="IN", expected="a split for each file", found="one without", fix=hint)
        )
    apart = any(splits) or any(each.whole for each in found)
    if not target.whole and sum(each.whole for each, split in zip(found, splits, strict=True) if not split) > 1:
        hint = "convert each by itself, or say which split each is to be: train=DIR test=DIR"
        raise DataError(
            Problem(
                "split-mismatch",
                location="IN",
                expected="one benchmark, which has splits of its own",
                found="several",
                fix=hint,
            )
        )
    many = target.folder or apart
    hint = "name another one: --out DIR" if many else "name another one: --out FILE"
    if many:
        files.check_free(out, hint)
    elif out.is_dir():
        raise DataError(
            Problem(
                "folder-taken", location=files.shown(out), expected="the name of a file", found="a folder", fix=hint
            )
        )
    elif out.exists() and any(out.samefile(each.path) for each in sources):
        raise DataError(
            Problem(
                "folder-taken",
                location=files.shown(out),
                expected="a file to write",
                found="the corpus that is read",
                fix=hint,
            )
        )
    notes = ConversionLog()
    tally = _Tally()
    pairs = sorted(zip(sources, found, strict=True), key=lambda pair: [None, *SPLITS].index(pair[0].split))
    documents = tally.counted(pairs, notes, chosen)
    out.parent.mkdir(parents=True, exist_ok=True)
    home = out if out.is_dir() else out.parent
    with tempfile.TemporaryDirectory(prefix=".jinbench-", dir=home) as scratch:
        made = Path(scratch) / "made"
        _write(documents, target, made if many else made / f"x{out.suffix}", apart, notes, dict(writing or {}))
        report = Report(
            ", ".join(dict.fromkeys(each.name for each in found)),
            target.name,
            files.shown(out),
            tally.texts,
            tally.spans,
            tuple(files.visible(made)) if many else (out.name,),
            _told(notes),
            dict(notes.counts),
            tuple(notes.problems),
            tuple(notes.remarks),
        )
        for each, format in pairs if notes.fatal else ():
            if registry.looks(each.path) not in ([], [format.name]):
                notes.fatal.append(_nothing(each.path, format, notes))
        notes.raise_fatal()
        if strict and (notes.losses or notes.counts):
            raise DataError([*notes.problems, *_losses(notes, target)])
        if many:
            files.settle(made, out, hint)
        else:
            (made / f"x{out.suffix}").replace(out)
    return report


def _format(path: Path, origin: str | None, options: Mapping[str, Any]) -> Format:
    """The format of a source, which must be able to do what is asked of it."""
    if not path.exists():
        said = str(path).partition("=")
        hint = f"check the path; or is {said[0]!r} meant for a split? One of {', '.join(NAMES)}" if said[2] else ""
        expected = "a file or a folder"
        raise DataError(
            Problem(
                "file-missing",
                location=files.shown(path),
                expected=expected,
                found="nothing",
                fix=hint or "check the path",
            )
        )
    found = registry.get_format(origin, "--from") if origin else registry.detect(path)
    if found.folder != path.is_dir():
        expected, there = ("a folder", "a file") if found.folder else ("a file", "a folder")
        hint = f"name {expected}, or another format: --from"
        raise DataError(
            Problem(
                "file-missing",
                location=files.shown(path),
                expected=f"{expected}, as {found.name} is",
                found=there,
                fix=hint,
            )
        )
    for name in options:
        if name not in found.options:
            able = ", ".join(each.name for each in registry.FORMATS.values() if name in each.options)
            place, hint = f"--{name}", "take it out, or name another format: --from"
            hint += "; the scheme of what is written: --out-scheme" if name == "scheme" else ""
            raise DataError(
                Problem(
                    "format-unknown",
                    location=place,
                    expected=f"a format that has it: {able}",
                    found=found.name,
                    fix=hint,
                )
            )
    return found


class _Tally:
    """Documents as they go by, and how many there were."""

    def __init__(self) -> None:
        self.texts = self.spans = 0

    def counted(
        self, pairs: Sequence[tuple[Source, Format]], notes: ConversionLog, options: Mapping[str, Any]
    ) -> Iterator[Document]:
        """The documents of all sources. Raises :class:`DataError` if one of them has nothing to use."""
        for each, format in pairs:
            before, labels, wrong = self.texts, 0, sum(notes.counts.values())
            for document in format.read(each.path, notes, **options):
                if not storable(names_of(document), document.place, notes):
                    continue
                self.texts += 1
                self.spans += len(document.spans)
                labels += len(document.spans) + len(document.classes)
                yield document if each.split is None else replace(document, split=each.split)
            # One of which every text lost its labels, and which looks otherwise, is not in this format.
            lost = not labels and sum(notes.counts.values()) - wrong >= self.texts - before
            mistaken = lost and registry.looks(each.path) not in ([], [format.name])
            if (self.texts == before or mistaken) and not notes.fatal:
                raise DataError([*notes.problems[:SHOWN], _nothing(each.path, format, notes)])


def _nothing(path: Path, format: Format, notes: ConversionLog) -> Problem:
    """What is said of a source in which there is no text, or no label that could be read."""
    others = [name for name in registry.looks(path) if name != format.name]
    empty = path.is_file() and not path.stat().st_size
    found = "an empty file" if empty else "none"
    if notes.counts or notes.losses:
        counts = {code: loss.count for code, loss in notes.losses.items()} | notes.counts
        found += f" that could be used ({', '.join(f'{code}: {count}' for code, count in counts.items())})"
    hint = f"it looks like {' or '.join(others)}: --from {others[0]}" if others else "is it a file of another format?"
    return Problem(
        "wrong-shape",
        location=files.shown(path),
        expected=f"texts and labels in the format {format.name}",
        found=found,
        fix=hint,
    )


def _write(
    documents: Iterator[Document],
    target: Format,
    path: Path,
    apart: bool,
    notes: ConversionLog,
    options: dict[str, Any],
) -> None:
    """Write what is read, as it is read. With `apart` a file, or a folder, for each split."""
    options["suffix"] = path.suffix if path.suffix in (".json", ".jsonl") else target.suffix
    if target.whole or not apart:
        _pieces(target.write(documents, notes, **options), target, path)
        return
    options["suffix"] = target.suffix
    for split, mine in itertools.groupby(documents, key=lambda document: document.split or "all"):
        place = path / (split if target.folder else f"{split}{target.suffix}")
        _pieces(target.write(mine, notes, **options), target, place)


def _pieces(pieces: Iterator[Any], target: Format, path: Path) -> None:
    if target.folder:
        for name, data in pieces:
            _put(path / name, [data])
    else:
        _put(path, pieces)


def _put(path: Path, pieces: Any) -> None:
    """Plainly: the folder that it is in is moved as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(pieces)


def _told(notes: ConversionLog) -> dict[str, dict[str, Any]]:
    return {
        code: {
            "count": loss.count,
            "what": LOSSES[code],
            "examples": [{"place": place, "what": what} for place, what in loss.examples],
        }
        for code, loss in sorted(notes.losses.items())
    }


def _losses(notes: ConversionLog, target: Format) -> Iterator[Problem]:
    """The losses as problems, for who wanted none."""
    for code, loss in sorted(notes.losses.items()):
        place, what = loss.examples[0]
        found = f"{loss.count} that would be lost, first: {re.sub(chr(10), ' ', what)}"
        hint = "convert without --strict, to another format, or mend the corpus"
        expected = f"nothing lost on the way to {target.name} ({code}: {LOSSES[code]})"
        yield Problem("conversion-loses", location=place, expected=expected, found=found, fix=hint)
