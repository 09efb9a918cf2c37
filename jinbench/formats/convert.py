"""Convert corpora between formats, and report what was read, left out and lost."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from jinbench.core import files, folders
from jinbench.core.errors import DataError, Problem, fail
from jinbench.core.types import JsonObject
from jinbench.dataset.splits import SPLIT_NAMES, SPLITS
from jinbench.formats.base import LOSSES, OTHER_FORMAT, ConversionLog, Document, is_encodable, join_names
from jinbench.formats.registry import FORMATS, Format, detect_format, get_format, match_formats

PROBLEMS_PRINTED = 3  # of each code

Options: TypeAlias = Mapping[str, str | int | None]


class CorpusSource(NamedTuple):
    """A file or folder to read.

    Args:
        path: the file or folder.
        split: train, validation or test, if it is one of them; None if it is the whole corpus.
    """

    path: Path
    split: str | None = None


@dataclass(frozen=True)
class ConversionReport:
    """Result of a conversion.

    Attributes:
        read: names of the formats read.
        wrote: name of the format written.
        out: path written, for messages.
        texts: number of texts read.
        spans: number of spans read.
        files: names of the files written.
        losses: by code, `count`, `what` and the first `examples`, each with `place` and `what`.
        counts: number of problems, by code.
        problems: the input that was left out.
        remarks: what users of the result must know.
    """

    read: str
    wrote: str
    out: str
    texts: int
    spans: int
    files: tuple[str, ...]
    losses: dict[str, JsonObject]
    counts: dict[str, int]
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.read} → {self.wrote}: {self.texts:,} texts with {self.spans:,} spans, in {self.out}"]
        for code, loss in self.losses.items():
            lines.append(f"lost, {code}: {loss['count']:,}: {loss['what']}")
            lines += [f"  {example['place']}: {example['what']}" for example in loss["examples"]]
        for code, count in self.counts.items():
            lines.append(f"left out, {code}: {count:,}")
            problems = [problem for problem in self.problems if problem.code == code][:PROBLEMS_PRINTED]
            lines += [f"  {p.location}: expected {p.expected}, found {p.found}; {p.fix}" for p in problems]
        lines += self.remarks
        if not self.losses and not self.counts:
            lines.append("Nothing was lost.")
        return "\n".join(lines)


def parse_source(argument: str) -> CorpusSource:
    """Parse PATH or SPLIT=PATH. If the whole argument exists, it is a path."""
    split, _, path = argument.partition("=")
    if path and split in SPLIT_NAMES and not Path(argument).exists():
        return CorpusSource(Path(path), SPLIT_NAMES[split])
    return CorpusSource(Path(argument))


def convert_corpus(
    sources: Sequence[CorpusSource], target_format: str, out: Path, source_format: str | None = None,
    strict: bool = False, reader_options: Options | None = None, writer_options: Options | None = None,
) -> ConversionReport:  # fmt: skip
    """Read a corpus and write it in another format.

    Nothing is at `out` before everything is written.

    Args:
        sources: files or folders; all with a split, or none.
        target_format: name in :data:`FORMATS`.
        out: the file to write; a folder for formats that are one, and with one file per split where splits are named.
        source_format: name in :data:`FORMATS`; without it, detected from the content.
        strict: raise if anything would be lost or left out.
        reader_options: scheme, repair, join (conll); group (JSON); offsets, crlf (JSON, brat); text (labelstudio);
            passages (jinbench).
        writer_options: scheme (conll); title, command, source, seed, keep_splits (jinbench).

    Returns:
        What was read and written, with losses and problems counted.

    Raises:
        DataError: [format-unknown], [file-missing], [folder-taken], [split-mismatch], [wrong-tags], [wrong-scheme],
            [not-utf8]; [conversion-loses] if `strict` and anything is lost; every problem if nothing could be read.
    """
    target = get_format(target_format, "--to")
    options = {name: value for name, value in (reader_options or {}).items() if value not in (None, False)}
    inputs = [(source, _source_format(source.path, source_format, options)) for source in sources]
    by_split = _check_splits(inputs, target)
    makes_folder = target.is_folder or by_split
    fix = f"name another one: --out {'DIR' if makes_folder else 'FILE'}"
    _check_out(out, makes_folder, sources, fix)
    log = ConversionLog()
    reader = _CountingReader()
    inputs.sort(key=lambda pair: [None, *SPLITS].index(pair[0].split))
    documents = reader.read_documents(inputs, log, options)
    with folders.temporary_folder(out) as temporary:
        result = temporary / "made"
        path = result if makes_folder else result / f"x{out.suffix}"
        _write(documents, target, path, by_split, log, dict(writer_options or {}))
        report = ConversionReport(
            read=", ".join(dict.fromkeys(format.name for _, format in inputs)),
            wrote=target.name,
            out=files.display_path(out),
            texts=reader.texts,
            spans=reader.spans,
            files=tuple(files.list_files(result)) if makes_folder else (out.name,),
            losses=_losses_to_dict(log),
            counts=dict(log.counts),
            problems=tuple(log.problems),
            remarks=tuple(log.remarks),
        )
        if strict and (log.losses or log.counts):
            raise DataError([*log.problems, *_losses_to_problems(log, target)])
        if makes_folder:
            folders.place_folder(result, out, fix)
        else:
            path.replace(out)
    return report


def _check_splits(inputs: Sequence[tuple[CorpusSource, Format]], target: Format) -> bool:
    """Return whether there is a file per split.

    Raise :class:`DataError` (split-mismatch).
    """
    with_split = [source.split is not None for source, _ in inputs]
    if len(set(with_split)) > 1:
        fail("split-mismatch", "IN", expected="a split for each file", found="one without",
             fix="name all with their split, or none: train=FILE test=FILE")  # fmt: skip
    have_splits = [format.has_splits for source, format in inputs if source.split is None]
    if not target.has_splits and sum(have_splits) > 1:
        fail("split-mismatch", "IN", expected="one benchmark, which has splits of its own", found="several",
             fix="convert each by itself, or name the split of each: train=DIR test=DIR")  # fmt: skip
    return any(with_split) or any(format.has_splits for _, format in inputs)


def _check_out(out: Path, makes_folder: bool, sources: Sequence[CorpusSource], fix: str) -> None:
    """Raise :class:`DataError` (folder-taken) if `out` cannot be written."""
    location = files.display_path(out)
    if makes_folder:
        folders.require_free_folder(out, fix)
    elif out.is_dir():
        fail("folder-taken", location, expected="the name of a file", found="a folder", fix=fix)
    elif out.exists() and any(out.samefile(source.path) for source in sources):
        fail("folder-taken", location, expected="a file to write", found="the corpus that is read", fix=fix)


def _source_format(path: Path, name: str | None, options: Options) -> Format:
    """Return the format of a source.

    Raise :class:`DataError` if it has not all `options`.
    """
    location = files.display_path(path)
    if not path.exists():
        split, separator, _ = str(path).partition("=")
        fix = f"check the path; or is {split!r} meant for a split? One of {', '.join(SPLIT_NAMES)}"
        fail("file-missing", location, expected="a file or a folder", found="nothing",
             fix=fix if separator else "check the path")  # fmt: skip
    format = get_format(name, "--from") if name else detect_format(path)
    if format.is_folder != path.is_dir():
        expected, found = ("a folder", "a file") if format.is_folder else ("a file", "a folder")
        fail("file-missing", location, expected=f"{expected}, as {format.name} is", found=found,
             fix=f"name {expected}, or another format: --from")  # fmt: skip
    for option in options:
        if option not in format.options:
            names = ", ".join(format.name for format in FORMATS.values() if option in format.options)
            fix = "remove it, or name another format: --from"
            fix += "; the scheme to write: --out-scheme" if option == "scheme" else ""
            fail("format-unknown", f"--{option}", expected=f"a format that has it: {names}", found=format.name, fix=fix)
    return format


class _CountingReader:
    """Reads documents and counts texts and spans."""

    def __init__(self) -> None:
        self.texts = self.spans = 0

    def read_documents(
        self, inputs: Sequence[tuple[CorpusSource, Format]], log: ConversionLog, options: Options
    ) -> Iterator[Document]:
        """Yield the documents of all sources.

        Raise :class:`DataError` if nothing in one of them can be used, or one cannot be relied on.
        """
        parents = [os.path.dirname(source.path.resolve()) for source, _ in inputs]
        for (path, split), format in inputs:
            name = path.resolve().relative_to(os.path.commonpath(parents)).as_posix()
            texts_before, problems_before, labels = self.texts, log.counts.total(), 0
            for document in format.read(path, log, name=name, **options):
                if not is_encodable(join_names(document), document.location, log):
                    continue
                self.texts += 1
                self.spans += len(document.spans)
                labels += len(document.spans) + len(document.classes)
                yield document if split is None else replace(document, split=split)
            # A source of which every text lost its labels, and which looks like another format, is not in this one.
            lost_labels = not labels and log.counts.total() - problems_before >= self.texts - texts_before
            mistaken = lost_labels and match_formats(path) not in ([], [format.name])
            if (self.texts == texts_before or mistaken) and not log.fatal:
                raise DataError([*log.problems[:PROBLEMS_PRINTED], _unusable_source(path, format, log)])
        for (path, _), format in inputs if log.fatal else ():
            if match_formats(path) not in ([], [format.name]):
                log.fatal.append(_unusable_source(path, format, log))
        log.raise_fatal()


def _unusable_source(path: Path, format: Format, log: ConversionLog) -> Problem:
    """Return the problem of a source without usable texts or labels."""
    others = [name for name in match_formats(path) if name != format.name]
    found = "an empty file" if path.is_file() and not path.stat().st_size else "none"
    if log.counts or log.losses:
        counts = {code: loss.count for code, loss in log.losses.items()} | log.counts
        found += f" that could be used ({', '.join(f'{code}: {count}' for code, count in counts.items())})"
    return Problem(
        "wrong-shape",
        location=files.display_path(path),
        expected=f"texts and labels in the format {format.name}",
        found=found,
        fix=f"it looks like {' or '.join(others)}: --from {others[0]}" if others else OTHER_FORMAT,
    )


def _write(
    documents: Iterator[Document], target: Format, path: Path, by_split: bool, log: ConversionLog,
    options: dict[str, str | int | None],
) -> None:  # fmt: skip
    """Write documents as they are read; with `by_split` a file or folder per split."""
    options["suffix"] = path.suffix if path.suffix in (".json", ".jsonl") else target.suffix
    if target.has_splits or not by_split:
        _write_output(target.write(documents, log, **options), target, path)
        return
    options["suffix"] = target.suffix
    for split, split_documents in itertools.groupby(documents, key=lambda document: document.split or "all"):
        split_path = path / (split if target.is_folder else f"{split}{target.suffix}")
        _write_output(target.write(split_documents, log, **options), target, split_path)


def _write_output(output: Iterator[Any], target: Format, path: Path) -> None:
    if target.is_folder:
        for name, data in output:
            _write_file(folders.resolve_inside(path, name), [data])
    else:
        _write_file(path, output)


def _write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file; not atomically, because its folder is moved as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(chunks)


def _losses_to_dict(log: ConversionLog) -> dict[str, JsonObject]:
    return {
        code: {
            "count": loss.count,
            "what": LOSSES[code],
            "examples": [{"place": location, "what": description} for location, description in loss.examples],
        }
        for code, loss in sorted(log.losses.items())
    }


def _losses_to_problems(log: ConversionLog, target: Format) -> Iterator[Problem]:
    for code, loss in sorted(log.losses.items()):
        location, description = loss.examples[0]
        yield Problem(
            "conversion-loses",
            location=location,
            expected=f"nothing lost on the way to {target.name} ({code}: {LOSSES[code]})",
            found=f"{loss.count} that would be lost, first: {re.sub(chr(10), ' ', description)}",
            fix="convert without --strict, to another format, or correct the corpus",
        )
