"""Text extraction: encodings, HTML, JSON Lines.

A web page is parsed in a subprocess with limits of time and memory: harmful markup can affect that process alone.
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
from jinbench.core.errors import DataError, ErrorList, Problem, fail
from jinbench.core.text import CONTROL, replace_unencodable

MAX_TEXT_BYTES, MAX_HTML_BYTES = 1_000_000, 20_000_000  # of one page: more is no page of a newspaper
MAX_LINES = 2_000  # of one page, without blank ones
MEMORY_BYTES = 2_000_000_000  # for parsing a web page
TIMEOUT_SECONDS = 30.0
EXTRA = "pages"

_JSONL_SUFFIXES, _HTML_SUFFIXES = (".jsonl", ".ndjson", ".json"), (".html", ".htm", ".xhtml")
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html\b)", re.I | re.S
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,30})", re.I)
_CONTROL = re.compile(rf"{CONTROL}|\r(?!\n)")  # and old line ends
_GUESSES = {"gb18030": "GB18030 (or GBK, GB2312)", "big5hkscs": "Big5", "shift_jis": "Shift-JIS", "euc_kr": "EUC-KR"}
_HAN = re.compile(r"[\u4e00-\u9fff]")
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
page = sys.stdin.buffer.read().decode("utf-8")
article = trafilatura.bare_extraction(page, include_comments=False, with_metadata=True)
text, title = (article.text or "", article.title or "") if article else ("", "")
json.dump({"version": version("trafilatura"), "text": text, "title": title}, sys.stdout)
"""
_CUT = "a page is one page of a newspaper, or one web page: cut the file into pages"


@dataclass(frozen=True)
class ExtractedPage:
    """The text of a page, and its origin.

    `location`: of the page in messages; `name`: the file name it should get. `title_lines`: number of lines of the text
    that are the title, as the source declares it; `single_article`: the page is one article. `origin`: what [[page]]
    records of a page that is not the file itself: its name, sha256, extractor, encoding, line.
    """

    location: str
    name: str
    text: str
    path: Path
    title_lines: int = 0
    single_article: bool = False
    origin: dict[str, str | int] = field(default_factory=dict)


def is_text_encoding(encoding: str) -> bool:
    """Return whether Python has a text encoding of that name."""
    try:
        return bool(codecs.lookup(encoding)._is_text_encoding)
    except (LookupError, ValueError):
        return False


def extract_pages(
    path: Path,
    *,
    encoding: str | None = None,
    text_field: str = "text",
    title_field: str = "title",
    seconds: float = TIMEOUT_SECONDS,
) -> tuple[list[ExtractedPage], list[Problem]]:
    """Return the pages of a file, and the problems of rows that were left out.

    Raises :class:`DataError` [file-missing, file-too-big, file-binary, not-utf8, page-empty, page-control-character,
    package-missing, extraction-failed, broken-json] if nothing of the file can be used.
    """
    if path.suffix.lower() in _JSONL_SUFFIXES:
        if encoding and codecs.lookup(encoding).name != "utf-8":
            fix = f"convert it first, for example: iconv -f {encoding} -t UTF-8 {path.name} > utf8.jsonl"
            fail("not-utf8", files.display_path(path), expected="JSON Lines, in UTF-8", found=encoding, fix=fix)
        return _extract_rows(path, text_field, title_field)
    data = _read_limited(path, MAX_HTML_BYTES)
    if path.suffix.lower() in _HTML_SUFFIXES or _MARKUP.match(data[:4096]):
        return [_extract_web_page(path, data, encoding, seconds)], []
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(_too_big(path, MAX_TEXT_BYTES))
    text, original_encoding = _decode(path, data, encoding)
    origin: dict[str, str | int] = {}
    if original_encoding:
        origin = {"file": replace_unencodable(path.name), "sha256": files.sha256(data), "encoding": original_encoding}
    page = ExtractedPage(files.display_path(path), path.name, text, path, origin=origin)
    problem = check_page(page)
    if problem:
        raise DataError(problem)
    return [page], []


def check_page(page: ExtractedPage) -> Problem | None:
    """Return why a text cannot be a page, or None."""
    text, location = page.text, page.location
    if not text.strip():
        return Problem("page-empty", location=location, expected="text",
                       found=f"{len(text)} characters, all white space",
                       fix="leave it out, or fetch the page again")  # fmt: skip
    control = _CONTROL.search(text)
    if control:
        line = location if page.single_article else f"{location}:{text.count(chr(10), 0, control.start()) + 1}"
        fix = "end lines with \\n" if control[0] == "\r" else "remove that character, or save the page as plain text"
        return Problem("page-control-character", location=line, expected="text", found=repr(control[0]), fix=fix)
    count = sum(1 for line in text.split("\n") if line.strip())
    if count > MAX_LINES or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        return Problem("file-too-big", location=location,
                       expected=f"{MAX_TEXT_BYTES:,} bytes and {MAX_LINES:,} lines, or fewer",
                       found=f"{count:,} lines, {len(text):,} characters", fix=_CUT)  # fmt: skip
    if any("\ud800" <= char <= "\udfff" for char in text):
        return Problem("wrong-shape", location=location, expected="text", found="half a surrogate pair",
                       fix="remove that character")  # fmt: skip
    return None


def _too_big(path: Path, limit: int) -> Problem:
    size = path.stat().st_size
    return Problem("file-too-big", location=files.display_path(path), expected=f"{limit:,} bytes or fewer",
                   found=f"{size:,} bytes" if size > limit else "more", fix=_CUT)  # fmt: skip


def _read_limited(path: Path, limit: int) -> bytes:
    """Return the bytes of a file of at most `limit`; of a larger one, none are read."""
    try:
        if path.suffix.lower() not in _HTML_SUFFIXES:
            limit = max(MAX_TEXT_BYTES, limit if _begins_with_markup(path) else 0)
        if path.stat().st_size > limit:
            raise DataError(_too_big(path, limit))
        with files.open_file(path) as file:
            data = file.read(limit + 1)
    except OSError as error:
        fix = "name the files in it, one by one or as DIR/*.txt" if path.is_dir() else "check the path"
        raise DataError(files.unreadable_problem(path, error, fix)) from None
    if len(data) > limit:
        raise DataError(_too_big(path, limit))
    return data


def _begins_with_markup(path: Path) -> bool:
    with files.open_file(path) as file:
        return bool(_MARKUP.match(file.read(4096)))


# Encodings


def _decode(path: Path, data: bytes, encoding: str | None) -> tuple[str, str | None]:
    """Return the text, and the name of its encoding unless it is UTF-8 without a byte order mark."""
    bom = data.startswith(codecs.BOM_UTF8)
    if encoding and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        return _decode_as(path, data, encoding), codecs.lookup(encoding).name
    binary = jsonl.text_problem(path, data, 1, 0)
    if binary is not None and binary.code == "file-binary":
        fix = binary.fix
        if "UTF-16" in binary.found:
            fix = "add --encoding utf-16"
        elif "unpack" not in fix:
            fix = "save it as plain text, or as HTML"
        raise DataError(replace(binary, location=files.display_path(path), fix=fix))
    try:
        return data.decode("utf-8-sig"), "utf-8-sig" if bom else None
    except UnicodeDecodeError:
        raise DataError(_not_utf8(path, data)) from None


def _decode_as(path: Path, data: bytes, encoding: str) -> str:
    location = files.display_path(path)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if _is_utf8(raw) and codecs.lookup(encoding).name != "utf-16":
            fix = "remove --encoding if the whole file is UTF-8; otherwise convert the lines that are not"
            expected, found = f"{encoding} on every line", "UTF-8 on this one"
            fail("not-utf8", f"{location}:{number}", expected=expected, found=found, fix=fix)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} at byte {error.start}, which is not valid {encoding}"
        fix = "use another --encoding, or correct that line"
        fail("not-utf8", f"{location}:{line}", expected=f"text in {encoding}", found=found, fix=fix)


def _is_utf8(line: bytes) -> bool:
    """Return whether a line can only be UTF-8: by chance, a few bytes of another encoding may look like it."""
    try:
        return len(_HAN.findall(line.decode("utf-8"))) >= 4
    except UnicodeDecodeError:
        return False


def _not_utf8(path: Path, data: bytes) -> list[Problem]:
    """Return one problem with the likely encoding of the file, or one per line that differs from the others."""
    lines = data.split(b"\n")
    valid = [number for number, line in enumerate(lines, start=1) if _is_utf8(line)]
    problems, offset = [], 0
    for number, raw in enumerate(lines, start=1):
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            problem = files.not_utf8_problem(path, number, raw[error.start], offset + error.start)
            likely = guess_encoding(raw if valid else data)
            description = f"{problem.found}; it seems to be {_GUESSES[likely]}" if likely else problem.found
            if not valid:
                fix = f"type: --encoding {likely}" if likely else "find out its encoding, and type: --encoding NAME"
                if not _can_guess():
                    fix += f"; where jinbench[{EXTRA}] is installed, it is guessed"
                return [replace(problem, found=description, fix=fix)]
            description += f". {len(valid)} other lines are UTF-8, the first of them line {valid[0]}"
            fix = "the file mixes encodings: write this line as UTF-8 too"
            problems.append(replace(problem, found=description, fix=fix))
        offset += len(raw) + 1
    return problems[: jsonl.MAX_PROBLEMS]


def _can_guess() -> bool:
    return importlib.util.find_spec("charset_normalizer") is not None


def guess_encoding(data: bytes) -> str | None:
    """Return which of the encodings of East Asia `data` is probably in, or None."""
    if not _can_guess():
        return None
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=list(_GUESSES)).best()
    return best.encoding if best else None


# Web pages


def _extract_web_page(path: Path, data: bytes, encoding: str | None, seconds: float) -> ExtractedPage:
    location = files.display_path(path)
    if importlib.util.find_spec("trafilatura") is None:
        fail("package-missing", location, expected="the package trafilatura, which reads web pages",
             found="it is not installed", fix=f"type: pip install 'jinbench[{EXTRA}]'")  # fmt: skip
    declared = _CHARSET.search(data[:4096])
    charset = declared[1].decode("ascii").lower() if declared else ""
    if not encoding and charset and is_text_encoding(charset) and not _is_valid(data, "utf-8"):
        # Browsers read all Chinese encodings of the family as the largest.
        charset = "gb18030" if charset in ("gb2312", "gbk") else charset
        encoding = charset if codecs.lookup(charset).name != "utf-8" else None
    markup, original_encoding = _decode(path, data, encoding)
    article = _run_extractor(markup, location, seconds)
    text, title = article["text"], " ".join(article["title"].split())
    begins_with_title = text.lstrip().partition("\n")[0].strip() == title
    if title and text.strip() and title not in text[:500]:
        text, begins_with_title = f"{title}\n\n{text}", True
    title_lines = int(bool(title) and begins_with_title)
    text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    origin: dict[str, str | int] = {"file": replace_unencodable(path.name), "sha256": files.sha256(data)}
    origin |= {"extractor": f"trafilatura {article['version']}"}
    origin |= {"encoding": original_encoding} if original_encoding else {}
    page = ExtractedPage(location, f"{path.stem}.txt", text + "\n", path, title_lines, origin=origin)
    problem = check_page(page)
    if problem and problem.code == "page-empty":
        fix = "if scripts draw the page, open it in a browser and save what it shows as text"
        problem = replace(problem, found="markup without any text of an article", fix=fix)
    if problem:
        raise DataError(problem)
    return page


def _is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _run_extractor(markup: str, location: str, seconds: float) -> dict[str, str]:
    """Run trafilatura in a subprocess; return its version, the text and the title."""
    command = [sys.executable, "-P", "-W", "ignore", "-c", _CHILD, str(MEMORY_BYTES), str(seconds)]

    def failure(found: str) -> DataError:
        return DataError(Problem(
            "extraction-failed", location=location,
            expected=f"text within {seconds:g} s and {MEMORY_BYTES // 10**6:,} MB", found=found,
            fix="save the page as text, or cut the part with the article out of it; --seconds gives it more time",
        ))  # fmt: skip

    try:
        process = subprocess.run(command, input=markup.encode("utf-8", "replace"), capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise failure(f"nothing after {seconds:g} s") from None
    if process.returncode:
        messages = process.stderr.decode("utf-8", "replace").strip().splitlines()
        last = messages[-1][:100] if messages else ""
        raise failure(last or f"the process ended by signal {-process.returncode}")
    try:
        article: dict[str, str] = json.loads(process.stdout)
    except ValueError:
        raise failure("no readable output") from None
    return article


# JSON Lines


def _extract_rows(path: Path, text_field: str, title_field: str) -> tuple[list[ExtractedPage], list[Problem]]:
    problems = ErrorList()
    pages = []
    # The file may be of any length; a line of it is one article.
    for number, row in jsonl.stream_rows(path, problems, limit=sys.maxsize - 1, longest=2 * MAX_TEXT_BYTES):
        location = f"{files.display_path(path)}:{number}"
        text, title = row.get(text_field), row.get(title_field)
        if not isinstance(text, str):
            fields = ", ".join(sorted(row)[:10]) or "nothing"
            problems.add(
                "wrong-shape", location, expected=f"a text in the field {text_field}",
                found=f"only {fields}" if text_field not in row else type(text).__name__,
                fix="name the field that has the text: --field NAME",
            )  # fmt: skip
            continue
        if title is not None and not isinstance(title, str):
            problems.add("wrong-shape", location, expected=f"a text in the field {title_field}",
                         found=type(title).__name__, fix="name another field: --title NAME")  # fmt: skip
            continue
        head = " ".join((title or "").split())
        content = f"{head}\n\n{text}" if head and text.strip() else text
        content = content if content.endswith("\n") else f"{content}\n"
        origin: dict[str, str | int] = {"file": replace_unencodable(path.name), "line": number}
        page = ExtractedPage(location, f"{path.stem}-{number}.txt", content, path, int(bool(head)), True, origin)
        problem = check_page(page)
        if problem:
            problems.append(problem)
        else:
            pages.append(page)
    fatal = [problem for problem in problems if _is_fatal(problem)]
    if fatal or len(problems) >= jsonl.MAX_PROBLEMS or not pages:
        empty = Problem("page-empty", location=files.display_path(path), expected="rows with a text", found="none",
                        fix="put one JSON object with a text on each line")  # fmt: skip
        raise DataError(fatal or problems or empty)
    return pages, problems


def _is_fatal(problem: Problem) -> bool:
    """Return whether reading of the file stopped at the problem."""
    of_a_row = ("wrong-shape", "page-empty", "page-control-character")
    if problem.code in of_a_row or (problem.code == "file-too-big" and problem.fix == _CUT):
        return False
    return problem.code != "broken-json" or problem.expected != "one JSON object"
