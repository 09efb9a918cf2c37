"""Pages as strangers have them: text in some encoding, web pages, JSON Lines. What comes out is text, and its origin.

A web page is read in a process of its own with a limit of time and of memory: what its markup does to the reader
befalls that process alone.
"""

import codecs
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from jinbench.core import files, jsonl
from jinbench.core.errors import DataError, Problem
from jinbench.core.text import replace_unencodable

MAX_TEXT_BYTES, MAX_HTML_BYTES = 1_000_000, 20_000_000  # of one page: what is longer is no page of a newspaper
MAX_LINES = 2_000  # of one page, blank ones left out
MEMORY_BYTES = 2_000_000_000  # bytes that reading a web page may take
TIMEOUT_SECONDS = 30.0
EXTRA = "pages"

_ROWS, _WEB = (".jsonl", ".ndjson", ".json"), (".html", ".htm", ".xhtml")
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html\b)", re.I | re.S
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,30})", re.I)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")  # as in `pages`, and line ends of old
_GUESSES = {"gb18030": "GB18030 (or GBK, GB2312)", "big5hkscs": "Big5", "shift_jis": "Shift-JIS", "euc_kr": "EUC-KR"}
_HAN = re.compile(r"[\u4e00-\u9fff]")
# The characters that any Chinese text is full of, in both scripts: right letters are told from wrong ones by them.
_COMMON = frozenset(
    "的一是不了在有人我他这这個个上们來来到时時大地为為子中你说說生国國年着著就那和要她出也得里后後自以会會家可下而过過天去能对對小多然于於心学學"
    "之都好看起发發当當没沒成只如事把还還用第样樣道想作种種开開美总總从從无無情己面最女但现現前些所同日手又行意动動方期它头頭经經长長儿回位分爱"
)
_CHILD = """
import json, sys
memory, seconds = map(float, sys.argv[1:])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass
from importlib.metadata import version
import trafilatura
found = trafilatura.bare_extraction(sys.stdin.buffer.read().decode("utf-8"), include_comments=False, with_metadata=True)
text, title = (found.text or "", found.title or "") if found else ("", "")
json.dump({"version": version("trafilatura"), "text": text, "title": title}, sys.stdout)
"""


@dataclass(frozen=True)
class ExtractedPage:
    """A page as it came. `where`: how messages name it; `name`: what its file should be called.

    `titles`: so many lines of the text are the title, by the source's own word; `single`: it is one article.
    `origin`: what [[page]] notes of a page that is not the file itself: its name, sha256, extractor, encoding, line.
    """

    location: str
    name: str
    text: str
    path: Path
    title_lines: int = 0
    single_article: bool = False
    origin: dict[str, str | int] = field(default_factory=dict)


def is_text_encoding(encoding: str) -> bool:
    """Whether Python has a text encoding of that name."""
    try:
        return bool(codecs.lookup(encoding)._is_text_encoding)
    except (LookupError, ValueError):
        return False


def extract_pages(
    path: Path, *, encoding: str | None = None, text_field: str = "text", title_field: str = "title",
    seconds: float = TIMEOUT_SECONDS,
) -> tuple[list[ExtractedPage], list[Problem]]:  # fmt: skip
    """The pages that a file holds, and what is wrong with those of its rows that cannot be taken.

    Raises :class:`DataError` (file-missing, file-too-big, file-binary, not-utf8, page-empty, page-control-character,
    package-missing, extraction-failed, broken-json) if the file cannot be taken at all.
    """
    if path.suffix.lower() in _ROWS:
        if encoding and codecs.lookup(encoding).name != "utf-8":
            hint = f"convert it first, for example: iconv -f {encoding} -t UTF-8 {path.name} > utf8.jsonl"
            raise DataError(
                Problem(
                    "not-utf8", location=files.display_path(path), expected="JSON Lines, in UTF-8", found=encoding, fix=hint
                )
            )
        return _rows(path, text_field, title_field)
    data = _read(path, MAX_HTML_BYTES)
    if path.suffix.lower() in _WEB or _MARKUP.match(data[:4096]):
        return [_web(path, data, encoding, seconds)], []
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(_too_big(path, MAX_TEXT_BYTES))
    text, named = _decoded(path, data, encoding)
    origin: dict[str, str | int] = {}
    if named:
        origin = {"file": replace_unencodable(path.name), "sha256": files.sha256(data), "encoding": named}
    source = ExtractedPage(files.display_path(path), path.name, text, path, origin=origin)
    problem = check_page(source)
    if problem:
        raise DataError(problem)
    return [source], []


def check_page(source: ExtractedPage) -> Problem | None:
    """What keeps a text from being a page, if anything does."""
    text, where = source.text, source.location
    if not text.strip():
        found, hint = f"{len(text)} characters, all white space", "take it out, or fetch the page again"
        return Problem("page-empty", location=where, expected="text", found=found, fix=hint)
    control = _CONTROL.search(text)
    if control:
        at = where if source.single_article else f"{where}:{text.count(chr(10), 0, control.start()) + 1}"
        hint = "end lines with \\n" if control[0] == "\r" else "take that character out, or save the page as plain text"
        return Problem("page-control-character", location=at, expected="text", found=repr(control[0]), fix=hint)
    count = sum(1 for line in text.split("\n") if line.strip())
    if count > MAX_LINES or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        expected = f"{MAX_TEXT_BYTES:,} bytes and {MAX_LINES:,} lines, or fewer"
        return Problem(
            "file-too-big",
            location=where,
            expected=expected,
            found=f"{count:,} lines, {len(text):,} characters",
            fix=_CUT,
        )
    if any("\ud800" <= char <= "\udfff" for char in text):
        return Problem(
            "wrong-shape", location=where, expected="text", found="half a surrogate pair", fix="take that character out"
        )
    return None


_CUT = "a page is one page of a newspaper, or one web page: cut the file into pages"


def _too_big(path: Path, limit: int) -> Problem:
    size = path.stat().st_size
    found = f"{size:,} bytes" if size > limit else "more"
    return Problem(
        "file-too-big", location=files.display_path(path), expected=f"{limit:,} bytes or fewer", found=found, fix=_CUT
    )


def _read(path: Path, limit: int) -> bytes:
    """The bytes of a file of no more than `limit`: of a larger one, none are read."""
    try:
        limit = limit if path.suffix.lower() in _WEB else max(MAX_TEXT_BYTES, limit if _begins_with_markup(path) else 0)
        if path.stat().st_size > limit:
            raise DataError(_too_big(path, limit))
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hint = "name the files in it, one by one or as DIR/*.txt" if path.is_dir() else "check the path"
        raise DataError(
            Problem(
                "file-missing", location=files.display_path(path), expected="a readable file", found=reason.lower(), fix=hint
            )
        ) from None
    if len(data) > limit:
        raise DataError(_too_big(path, limit))
    return data


def _begins_with_markup(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(_MARKUP.match(file.read(4096)))


# Encodings


def _decoded(path: Path, data: bytes, encoding: str | None) -> tuple[str, str | None]:
    """The text, and the name of its encoding if it was another one than UTF-8 without a byte order mark."""
    bom = data.startswith(codecs.BOM_UTF8)
    if encoding and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        return _converted(path, data, encoding), codecs.lookup(encoding).name
    binary = jsonl.text_problem(path, data, 1, 0)
    if binary is not None and binary.code == "file-binary":
        where = files.display_path(path)
        hint = binary.fix
        if "UTF-16" in binary.found:
            hint = "say so: --encoding utf-16"
        elif "unpack" not in hint:
            hint = "save it as plain text, or as HTML"
        raise DataError(replace(binary, location=where, fix=hint))
    try:
        return data.decode("utf-8-sig"), "utf-8-sig" if bom else None
    except UnicodeDecodeError:
        raise DataError(_not_utf8(path, data)) from None


def _converted(path: Path, data: bytes, encoding: str) -> str:
    where = files.display_path(path)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if _is_utf8(raw) and codecs.lookup(encoding).name != "utf-16":
            hint = "without --encoding, if the whole file is UTF-8; otherwise convert the lines that are not"
            raise DataError(
                Problem(
                    "not-utf8",
                    location=f"{where}:{number}",
                    expected=f"{encoding} on every line",
                    found="UTF-8 on this one",
                    fix=hint,
                )
            )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} at byte {error.start}, which {encoding} does not have there"
        hint = "name another encoding, or mend that line"
        raise DataError(
            Problem("not-utf8", location=f"{where}:{line}", expected=f"text in {encoding}", found=found, fix=hint)
        ) from None


def _is_utf8(line: bytes) -> bool:
    """Whether a line can only be UTF-8: by chance, a few bytes of another encoding may look like it."""
    try:
        return len(_HAN.findall(line.decode("utf-8"))) >= 4
    except UnicodeDecodeError:
        return False


def _not_utf8(path: Path, data: bytes) -> list[Problem]:
    """A problem for the file, with what its encoding seems to be, or for every line that differs from the others."""
    every = data.split(b"\n")
    fine = [number for number, line in enumerate(every, start=1) if _is_utf8(line)]
    problems, at = [], 0
    for number, raw in enumerate(every, start=1):
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            problem = files.not_utf8_problem(path, number, raw[error.start], at + error.start)
            likely = guess_encoding(raw if fine else data)
            seems = f"{problem.found}; it seems to be {_GUESSES[likely]}" if likely else problem.found
            if not fine:
                hint = f"type: --encoding {likely}" if likely else "find out its encoding, and type: --encoding NAME"
                return [replace(problem, found=seems, fix=hint)]
            seems += f". {len(fine)} other lines are UTF-8, the first of them line {fine[0]}"
            hint = "the file mixes encodings: write this line as UTF-8 too"
            problems.append(replace(problem, found=seems, fix=hint))
        at += len(raw) + 1
    return problems[: jsonl.MAX_PROBLEMS]


def guess_encoding(data: bytes) -> str | None:
    """The encoding in which `data` reads most like text, by how many of its characters are common ones."""
    best: tuple[float, str] | None = None
    for encoding in _GUESSES:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        letters = [char for char in text if not char.isascii()]
        share = sum(char in _COMMON or char in "，。、“”：（）！？；《》" for char in letters) / max(1, len(letters))
        if share > 0.08 and (best is None or share > best[0]):
            best = share, encoding
    return best[1] if best else None


# Web pages


def _web(path: Path, data: bytes, encoding: str | None, seconds: float) -> ExtractedPage:
    where = files.display_path(path)
    if importlib.util.find_spec("trafilatura") is None:
        expected, hint = "the package trafilatura, which reads web pages", f"type: pip install 'jinbench[{EXTRA}]'"
        raise DataError(
            Problem("package-missing", location=where, expected=expected, found="it is not installed", fix=hint)
        )
    declared = _CHARSET.search(data[:4096])
    name = declared[1].decode("ascii").lower() if declared else ""
    if not encoding and name and is_text_encoding(name) and not _decodes(data, "utf-8"):
        # Browsers read all Chinese ones of the family as the largest.
        name = "gb18030" if name in ("gb2312", "gbk") else name
        encoding = name if codecs.lookup(name).name != "utf-8" else None
    page, named = _decoded(path, data, encoding)
    found = _extracted(page, where, seconds)
    text, title = found["text"], " ".join(found["title"].split())
    titles = int(bool(title) and bool(text.strip()) and title not in text[:500])
    if titles:
        text = f"{title}\n\n{text}"
    text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    origin: dict[str, str | int] = {"file": replace_unencodable(path.name), "sha256": files.sha256(data)}
    origin |= {"extractor": f"trafilatura {found['version']}", **({"encoding": named} if named else {})}
    source = ExtractedPage(where, f"{path.stem}.txt", text + "\n", path, titles, origin=origin)
    problem = check_page(source)
    if problem and problem.code == "page-empty":
        hint = "if scripts draw the page, open it in a browser and save what it shows as text"
        problem = replace(problem, found="markup without any text of an article", fix=hint)
    if problem:
        raise DataError(problem)
    return source


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _extracted(page: str, where: str, seconds: float) -> dict[str, str]:
    command = [sys.executable, "-P", "-W", "ignore", "-c", _CHILD, str(MEMORY_BYTES), str(seconds)]
    hint = "save the page as text, or take the part with the article out of it; --seconds gives it more time"

    def failed(found: str) -> DataError:
        expected = f"text within {seconds:g} s and {MEMORY_BYTES // 10**6:,} MB"
        return DataError(Problem("extraction-failed", location=where, expected=expected, found=found, fix=hint))

    try:
        done = subprocess.run(command, input=page.encode("utf-8", "replace"), capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise failed(f"nothing after {seconds:g} s") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = said[-1][:100] if said else ""
        raise failed(last or f"the process ended by signal {-done.returncode}")
    try:
        found: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        raise failed("no answer that can be read") from None
    return found


# JSON Lines


def _rows(path: Path, text_field: str, title_field: str) -> tuple[list[ExtractedPage], list[Problem]]:
    problems: list[Problem] = []
    found = []
    # The file may be of any length; a line of it is one article.
    for number, row in jsonl.stream_rows(path, problems, limit=sys.maxsize - 1, longest=2 * MAX_TEXT_BYTES):
        where = f"{files.display_path(path)}:{number}"
        text, title = row.get(text_field), row.get(title_field)
        if not isinstance(text, str):
            there = ", ".join(sorted(row)[:10]) or "nothing"
            hint = "name the field that holds the text: --field NAME"
            what = f"only {there}" if text_field not in row else type(text).__name__
            problems.append(
                Problem(
                    "wrong-shape", location=where, expected=f"a text in the field {text_field}", found=what, fix=hint
                )
            )
            continue
        if title is not None and not isinstance(title, str):
            hint = "name another field: --title NAME"
            problems.append(
                Problem(
                    "wrong-shape",
                    location=where,
                    expected=f"a text in the field {title_field}",
                    found=type(title).__name__,
                    fix=hint,
                )
            )
            continue
        head = " ".join((title or "").split())
        page = f"{head}\n\n{text}" if head and text.strip() else text
        page = page if page.endswith("\n") else f"{page}\n"
        origin: dict[str, str | int] = {"file": replace_unencodable(path.name), "line": number}
        source = ExtractedPage(where, f"{path.stem}-{number}.txt", page, path, int(bool(head)), True, origin)
        problem = check_page(source)
        if problem:
            problems.append(problem)
        else:
            found.append(source)
    fatal = [problem for problem in problems if _is_fatal(problem, path)]
    if fatal or len(problems) >= jsonl.MAX_PROBLEMS or not found:
        hint = "put one JSON object with a text on each line"
        none = Problem("page-empty", location=files.display_path(path), expected="rows with a text", found="none", fix=hint)
        raise DataError(fatal or problems or none)
    return found, problems


def _is_fatal(problem: Problem, path: Path) -> bool:
    """Whether the rest of the file was not read after it."""
    of_a_row = ("wrong-shape", "page-empty", "page-control-character")
    if problem.code in of_a_row or (problem.code == "file-too-big" and problem.fix == _CUT):
        return False
    return problem.code != "broken-json" or problem.expected != "one JSON object"
